//! The step `package`: what is published, what it depends on, and where it compiles.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, MetadataCommand};
use pulldown_cmark::{Event, Parser, Tag};
use serde::Deserialize;

use super::{Bare, Ledger, ui};
use crate::process::{self, End, Source};
use crate::workspace::{KERNEL, LIBRARY, Workspace};

/// What cargo says of the package, and what is as it should be.
const KNOWN_WARNINGS: [&str; 3] = [
    // They need `ui-tests`, which is not published.
    "ignoring test `museum` as `tests/museum.rs` is not included in the published package",
    "ignoring test `ui` as `tests/ui.rs` is not included in the published package",
    // The public repository is named before the first release.
    "manifest has no documentation, homepage or repository",
];

/// What the published package may have, as beginnings of paths; and what it must have.
const ALLOWED: [&str; 5] = ["src/", "tests/model", "tests/stays_here.rs", "examples/", "docs/"];
const WANTED: [&str; 7] =
    ["Cargo.toml", "Cargo.toml.orig", "Cargo.lock", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// What cargo adds where there is a repository.
const OF_CARGO: &str = ".cargo_vcs_info.json";

/// The features, as cargo's options, with which the oldest Rust compiles it.
const FEATURES: [&[&str]; 2] = [&[], &["--all-features"]];

/// Targets that are not x86: one with 64 bits, and one that cannot exchange as many at once.
const ELSEWHERE: [&str; 2] = ["aarch64-unknown-none", "thumbv7em-none-eabi"];

/// A program that names x86's processor, and beside it what the compiler says of it elsewhere.
const NAMES_THE_PROCESSOR: &str = "ui-tests/elsewhere/names_the_processor";

/// All that the step looks at.
pub fn run(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let workspace = bare.workspace;
    report(ledger, "the files of the package", files(workspace));
    report(ledger, "README.md has no link that ends at its own page", links(&workspace.root));
    report(ledger, "docs/dependencies.md has all dependencies", dependencies(workspace));
    report(ledger, "licences of the dependencies", licences(workspace));
    report(ledger, "cargo package", package(workspace));
    oldest(workspace, ledger)?;
    elsewhere(bare, ledger)
}

fn report(ledger: &mut Ledger, what: &str, result: Result<String>) {
    match result {
        Ok(said) => ledger.pass(&format!("{what}: {said}")),
        Err(error) => ledger.fail(&format!("{what}: {error:#}")),
    }
}

/// What is in the package.
fn files(workspace: &Workspace) -> Result<String> {
    let mut cargo = workspace.cargo(&["package", "-p", LIBRARY, "--list", "--allow-dirty"]);
    let list = process::answer(&mut cargo).context("`cargo package --list` failed")?;
    check_files(&list)
}

fn check_files(list: &str) -> Result<String> {
    let files: BTreeSet<&str> = list.lines().collect();
    let is_allowed = |file: &str| {
        file == OF_CARGO || WANTED.contains(&file) || ALLOWED.iter().any(|beginning| file.starts_with(beginning))
    };
    let others: Vec<&str> = files.iter().copied().filter(|file| !is_allowed(file)).collect();
    ensure!(others.is_empty(), "what does not belong there: {}", others.join(", "));
    let missing: Vec<&str> = WANTED.into_iter().filter(|file| !files.contains(file)).collect();
    ensure!(missing.is_empty(), "what is missing: {}", missing.join(", "));
    Ok(format!("{} files", files.len()))
}

/// The README is the page of the crate in the registry and in its documentation, where no file lies beside it.
fn links(root: &Path) -> Result<String> {
    let readme = fs::read_to_string(root.join("README.md")).context("cannot read README.md")?;
    check_links(&readme)
}

fn check_links(readme: &str) -> Result<String> {
    let targets: Vec<String> = Parser::new(readme)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        })
        .collect();
    for target in &targets {
        let is_whole = target.starts_with("https://") || target.starts_with('#');
        ensure!(is_whole, "`{target}` is a file of the repository, which others do not have beside the page");
    }
    Ok(format!("{} links", targets.len()))
}

/// Packs it, and compiles what was packed.
fn package(workspace: &Workspace) -> Result<String> {
    let target = workspace.target.join("published");
    let mut cargo = workspace.cargo(&["package", "-p", LIBRARY, "--allow-dirty", "--target-dir"]);
    let (end, lines) = said(cargo.arg(target))?;
    ensure!(matches!(end, End::Exited(status) if status.success()), "{}", lines.join("\n"));
    let warnings: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("warning: ")).collect();
    let others: Vec<&str> = warnings.into_iter().filter(|warning| !KNOWN_WARNINGS.contains(warning)).collect();
    ensure!(others.is_empty(), "cargo warns: {}", others.join("; "));
    Ok("what is packed compiles".to_owned())
}

/// How a command ends, and its lines, of both kinds.
fn said(command: &mut Command) -> Result<(End, Vec<String>)> {
    let mut lines = Vec::new();
    command.env("CARGO_TERM_COLOR", "never").stderr(std::process::Stdio::piped());
    let end = process::stream(command, None, |source, line| {
        if source == Source::Err {
            lines.push(line.to_owned());
        }
    })?;
    Ok((end, lines))
}

/// The tables of `docs/dependencies.md`, by their headings, beside the manifests.
fn dependencies(workspace: &Workspace) -> Result<String> {
    let page = fs::read_to_string(workspace.root.join("docs/dependencies.md")).context("cannot read it")?;
    let mut count = 0;
    for (heading, package, is_meant) in [
        ("The crate", LIBRARY, (|kind| kind != DependencyKind::Development) as fn(DependencyKind) -> bool),
        ("Its tests", LIBRARY, |kind| kind == DependencyKind::Development),
        ("The example kernel", KERNEL, |_| true),
        ("The tools", "xtask", |_| true),
    ] {
        let list = &workspace.package(package)?.dependencies;
        let there = list.iter().filter(|dependency| is_meant(dependency.kind)).map(|d| d.name.clone()).collect();
        count += compare(heading, &rows(&page, heading), &there)?;
    }
    Ok(format!("{count} of them"))
}

/// The names in the first column of the table under a heading.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let lines = page.lines().skip_while(|line| line.strip_prefix("## ") != Some(heading)).skip(1);
    let cells = lines.take_while(|line| !line.starts_with("## ")).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn compare(heading: &str, listed: &BTreeSet<String>, there: &BTreeSet<String>) -> Result<usize> {
    let [missing, stale] = [there - listed, listed - there].map(|names| Vec::from_iter(names).join(", "));
    ensure!(missing.is_empty(), "`{heading}` does not have {missing}");
    ensure!(stale.is_empty(), "`{heading}` has {stale}, which the manifest does not");
    Ok(there.len())
}

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

/// The licences of all packages, beside those that `deny.toml` allows.
fn licences(workspace: &Workspace) -> Result<String> {
    let deny = fs::read_to_string(workspace.root.join("deny.toml")).context("cannot read deny.toml")?;
    let deny: Deny = toml::from_str(&deny).context("deny.toml")?;
    let metadata = MetadataCommand::new().manifest_path(workspace.root.join("Cargo.toml")).exec()?;
    for package in &metadata.packages {
        let licence = package.license.as_deref().with_context(|| format!("{} has none", package.name))?;
        ensure!(is_allowed(licence, &deny.licenses.allow)?, "{} is `{licence}`", package.name);
    }
    Ok(format!("{} packages", metadata.packages.len()))
}

fn is_allowed(licence: &str, allow: &BTreeSet<String>) -> Result<bool> {
    let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
        .map_err(|error| anyhow::anyhow!("`{licence}`: {}", error.reason))?;
    Ok(expression.evaluate(|requirement| allow.contains(&requirement.to_string())))
}

/// It compiles with the Rust that its manifest names.
fn oldest(workspace: &Workspace, ledger: &mut Ledger) -> Result<()> {
    let version = workspace.package(LIBRARY)?.rust_version.as_ref().context("the manifest has no rust-version")?;
    let Some(toolchain) = ui::toolchain((version.major, version.minor)) else {
        ledger.skip(&format!(
            "Rust {version}, the oldest that the crate is for: rustup has none and cannot install it (`rustup toolchain \
             install {version}`); clippy alone has looked for what is newer"
        ));
        return Ok(());
    };
    for features in FEATURES {
        let mut cargo = ui::cargo_of(workspace, &toolchain);
        cargo.args(["check", "-p", LIBRARY, "--locked", "--target-dir"]).arg(workspace.target.join("oldest"));
        ledger.command(&format!("cargo check with Rust {version} {}", features.join(" ")), cargo.args(features))?;
    }
    Ok(())
}

/// It compiles for targets that are not x86, and has pages there; what names the processor does not.
fn elsewhere(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let cargo = |command: &str, target: &str| {
        let mut cargo = bare.toolchain.cargo();
        cargo.current_dir(&bare.workspace.root).args([command, "-Zbuild-std=core", "--target", target, "--target-dir"]);
        cargo.arg(bare.workspace.target.join("elsewhere"));
        cargo
    };
    for target in ELSEWHERE {
        ledger.command(&format!("cargo check for {target}"), cargo("check", target).args(["-p", LIBRARY]))?;
    }
    let [target, ..] = ELSEWHERE;
    let mut doc = cargo("doc", target);
    doc.args(["-p", LIBRARY, "--no-deps", "--features", "x86_64"]).env("RUSTDOCFLAGS", "-D warnings");
    ledger.command(&format!("cargo doc for {target}"), &mut doc)?;
    let mut model = cargo("check", target);
    let model = one_error(model.args(["-p", LIBRARY, "--features", "model"])).and_then(|error| {
        let first = error.lines().next().unwrap_or_default().to_owned();
        ensure!(first.starts_with("error: the feature `model` of highmem is for unit tests"), "{error}");
        Ok(first)
    });
    report(ledger, &format!("the feature `model` for {target}"), model);
    let message = write_package(bare.workspace).and_then(|manifest| {
        let mut check = cargo("check", target);
        one_error(check.arg("--manifest-path").arg(manifest))
    });
    let result = message.and_then(|message| compare_message(bare, &message));
    report(ledger, &format!("a kernel that names x86's processor, for {target}"), result);
    Ok(())
}

/// Makes a package of the program that names the processor.
fn write_package(workspace: &Workspace) -> Result<std::path::PathBuf> {
    let directory = workspace.target.join("elsewhere/program");
    fs::create_dir_all(&directory)?;
    let root = &workspace.root;
    let manifest = format!(
        "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = {:?}\n\n\
         [dependencies]\nhighmem = {{ path = {root:?} }}\n\n[workspace]\n",
        root.join(NAMES_THE_PROCESSOR).with_extension("rs"),
    );
    fs::write(directory.join("Cargo.toml"), manifest)?;
    // The same versions as everywhere; cargo takes out what is not used.
    fs::copy(root.join("Cargo.lock"), directory.join("Cargo.lock"))?;
    Ok(directory.join("Cargo.toml"))
}

/// The only error of a command that must fail.
fn one_error(command: &mut Command) -> Result<String> {
    let (end, lines) = said(command)?;
    ensure!(matches!(end, End::Exited(status) if !status.success()), "it compiles");
    the_error(&lines)
}

fn the_error(lines: &[String]) -> Result<String> {
    let is_error = |line: &&String| line.starts_with("error") && !line.starts_with("error: could not compile");
    let count = lines.iter().filter(is_error).count();
    ensure!(count == 1, "{count} errors in place of one:\n{}", lines.join("\n"));
    // What goes on about the crate's own source has lines' numbers that change with it.
    let ends = |line: &&String| line.is_empty() || line.starts_with("note: required by");
    let error = lines.iter().skip_while(|line| !is_error(line)).take_while(|line| !ends(line));
    Ok(error.map(|line| format!("{line}\n")).collect())
}

/// The message, beside the one that is recorded: all of it if the compiler is the one of the records, else its first line.
fn compare_message(bare: &Bare, message: &str) -> Result<String> {
    let root = &bare.workspace.root;
    let path = root.join(NAMES_THE_PROCESSOR).with_extension("stderr");
    let recorded = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let message = message.replace(&format!("{}/", root.display()), "").replace(&format!("{}", root.display()), "");
    let of_records = fs::read_to_string(root.join(ui::RECORD)).ok().and_then(|text| ui::minor(&text));
    let is_same_compiler = of_records == Some((bare.toolchain.version.major, bare.toolchain.version.minor));
    let first = message.lines().next().unwrap_or_default();
    let is_same = if is_same_compiler { message == recorded } else { recorded.lines().next() == Some(first) };
    ensure!(is_same, "the compiler does not say what {} has, but:\n{message}", path.display());
    Ok(first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_package_has_what_it_must_have_and_nothing_else() {
        let list = WANTED.join("\n");
        assert_eq!(check_files(&format!("{list}\nsrc/lib.rs\ntests/model_user.rs")).unwrap(), "9 files");
        for foreign in ["kernel/src/lib.rs", "xtask/src/main.rs", "ui-tests/museum/a04.rs", "tests/museum.rs", "x.rs"] {
            let error = error_of(check_files(&format!("{list}\n{foreign}")));
            assert_eq!(error, format!("what does not belong there: {foreign}"));
        }
        assert_eq!(error_of(check_files(&list.replace("LICENSE-MIT\n", ""))), "what is missing: LICENSE-MIT");
    }

    #[test]
    fn a_link_to_a_file_is_found() {
        assert_eq!(check_links("[a](https://docs.rs) [b](#c) `[d](e.md)`").unwrap(), "2 links");
        assert!(error_of(check_links("[a](docs/a.md)")).starts_with("`docs/a.md` is a file"));
        assert!(error_of(check_links("[a]\n\n[a]: docs/a.svg")).starts_with("`docs/a.svg` is a file"));
    }

    #[test]
    fn tables_are_compared_both_ways() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let page = "## One\n| crate | for |\n|---|---|\n| `a`, `b` | `c` |\n## Two\n| `d` | e |\n";
        assert_eq!(rows(page, "One"), names(&["a", "b"]));
        assert_eq!(rows(page, "Two"), names(&["d"]));
        assert_eq!(compare("One", &names(&["a"]), &names(&["a"])).unwrap(), 1);
        assert_eq!(error_of(compare("One", &names(&["a"]), &names(&["a", "b"]))), "`One` does not have b");
        let error = error_of(compare("One", &names(&["a", "b"]), &names(&["a"])));
        assert_eq!(error, "`One` has b, which the manifest does not");
    }

    #[test]
    fn a_licence_is_allowed_if_one_of_its_ways_is() {
        let allow = BTreeSet::from(["MIT".to_owned(), "Zlib".to_owned()]);
        for good in ["MIT", "MIT OR GPL-2.0-only", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Zlib"] {
            assert!(is_allowed(good, &allow).unwrap(), "{good}");
        }
        for bad in ["GPL-2.0-only", "MIT AND GPL-2.0-only", "Apache-2.0 WITH LLVM-exception"] {
            assert!(!is_allowed(bad, &allow).unwrap(), "{bad}");
        }
        assert!(is_allowed("as you like", &allow).is_err());
    }

    #[test]
    fn one_error_is_one() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let one =
            "   Compiling a\nerror[E0277]: no\n --> a.rs\nnote: required by a bound\n\nerror: could not compile `a`";
        assert_eq!(the_error(&lines(one)).unwrap(), "error[E0277]: no\n --> a.rs\n");
        let two = format!("error: first\n\n{one}");
        assert!(error_of(the_error(&lines(&two))).starts_with("2 errors in place of one"));
        assert!(error_of(the_error(&[])).starts_with("0 errors in place of one"));
    }
}
