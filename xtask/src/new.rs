//! `cargo xtask new`: a small kernel that uses highmem, for somebody to go on from.
//!
//! It is what is in `template`, under its own name. As long as highmem is not published, the kernel cannot have it by its version alone:
//! it is told where this copy is, in lines that say what they are for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::say;
use crate::setup::{self, Choice, Need};
use crate::tree;
use crate::workspace::{LIBRARY, Workspace};

/// Where the template is, in the workspace.
const TEMPLATE: &str = "template";

/// What stands in the template for the kernel's name.
const NAME: &str = "{{project-name}}";

/// Those files of the template in which it does; the others are copied as they are.
const NAMED: [&str; 2] = ["Cargo.toml", "README.md"];

/// What is in the template for `cargo generate` alone.
const FOR_CARGO_GENERATE: &str = "cargo-generate.toml";

/// Packages that the kernel has under these names.
const TAKEN: [&str; 2] = [LIBRARY, "boot"];

/// Makes a kernel in `dir`, with what it needs installed. `path_of_crate` is another highmem than this one.
pub fn run(dir: &Path, name: Option<&str>, path_of_crate: Option<&Path>, choice: Choice) -> Result<bool> {
    let workspace = Workspace::open()?;
    let dir = std::path::absolute(dir).with_context(|| format!("`{}` is no path", dir.display()))?;
    check_empty(&dir)?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => name_of(&dir)?,
    };
    check_name(&name)?;
    let (library, version) = library(path_of_crate.unwrap_or(&workspace.root))?;
    let patch = patch(&library)?;
    setup::prepare(choice, Need::Boot)?;

    say::heading(&format!("New kernel: {name}"));
    let files = copy(&workspace.root.join(TEMPLATE), &dir, &name, &patch)?;
    let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    say::note(&format!("folder     {} ({files} files)", dir.display()));
    say::note(&format!("highmem    {version}, from {}: see the end of Cargo.toml", library.display()));
    say::heading("What next");
    say::note(&format!("cd {}", dir.display()));
    say::note("cargo run          builds it, and boots it in QEMU, in 64-bit mode: a minute, the first time");
    say::note("cargo run pae      in 32-bit mode");
    say::note("cargo test         its unit tests, on this machine");
    say::note("README.md says what is where, and what to change");
    say::verdict(true, "new: PASS");
    Ok(true)
}

/// An error unless there is nothing in `dir`.
fn check_empty(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    ensure!(dir.is_dir(), "{} is no folder", dir.display());
    let mut entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    ensure!(entries.next().is_none(), "{} is not empty: a new kernel wants a folder of its own", dir.display());
    Ok(())
}

/// The name of the folder, for a kernel that is given none.
fn name_of(dir: &Path) -> Result<String> {
    // The path may end in `..`.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = dir.file_name().and_then(|name| name.to_str());
    Ok(name.with_context(|| format!("{} gives the kernel no name: say `--name NAME`", dir.display()))?.to_owned())
}

/// An error unless a package of the kernel can have this name.
fn check_name(name: &str) -> Result<()> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    if !begins || !goes_on || name.len() > 64 {
        bail!(
            "`{name}` is no name for a package: a letter, then letters, digits, `-` and `_`, 64 at the most (`--name NAME` gives another)"
        );
    }
    ensure!(
        !TAKEN.contains(&name),
        "the kernel has another package called `{name}` (`--name NAME` gives another name)"
    );
    Ok(())
}

/// The folder and the version of the highmem that is in `dir`.
fn library(dir: &Path) -> Result<(PathBuf, String)> {
    let found = dir.canonicalize().ok().filter(|dir| dir.join("Cargo.toml").is_file());
    let dir = found.with_context(|| format!("there is no highmem in {}", dir.display()))?;
    let workspace = Workspace::open_at(&dir)?;
    let package = workspace.package(LIBRARY).with_context(|| format!("there is no highmem in {}", dir.display()))?;
    let folder = package.manifest_path.parent().context("a manifest is in a folder")?;
    Ok((folder.to_path_buf().into(), package.version.to_string()))
}

/// What has a kernel use the highmem at `path`, which is not published.
fn patch(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['\'', '\n', '\r']));
    let text = text.with_context(|| format!("{} cannot stand in Cargo.toml: move it elsewhere", path.display()))?;
    Ok(format!(
        "\n# highmem is not on crates.io yet: this is the one that the kernel was made with. Take this out when it is.\n\
        [patch.crates-io]\n\
        highmem = {{ path = '{text}' }}\n"
    ))
}

/// Copies the template to `dir`, with the kernel's name in it and `patch` at the end of its manifest. Gives the number of files.
fn copy(template: &Path, dir: &Path, name: &str, patch: &str) -> Result<usize> {
    let mut count = 0;
    for file in tree::source_files(template)? {
        let to = dir.join(&file);
        let is_named = NAMED.iter().any(|named| file == Path::new(named));
        let write = || {
            fs::create_dir_all(to.parent().unwrap_or(dir))?;
            if !is_named {
                return fs::copy(template.join(&file), &to).map(drop);
            }
            let mut text = fs::read_to_string(template.join(&file))?.replace(NAME, name);
            if file == Path::new("Cargo.toml") {
                text.push_str(patch);
            }
            fs::write(&to, text)
        };
        if file != Path::new(FOR_CARGO_GENERATE) {
            write().with_context(|| format!("cannot write {}", to.display()))?;
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> PathBuf {
        Workspace::open().unwrap().root.join(TEMPLATE)
    }

    #[test]
    fn names() {
        for good in ["my-kernel", "k", "Kernel_2"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "k".repeat(65);
        for bad in ["", "2nd", "-k", "my kernel", "k.rs", "näh", "highmem", "boot", &long] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_is_that_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(name_of(&dir.path().join("mine")).unwrap(), "mine");
        fs::create_dir_all(dir.path().join("mine/src")).unwrap();
        assert_eq!(name_of(&dir.path().join("mine/src/..")).unwrap(), "mine");
        assert!(name_of(Path::new("/")).is_err());
    }

    #[test]
    fn only_an_empty_folder_will_do() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_empty(dir.path()).is_ok());
        assert!(check_empty(&dir.path().join("new")).is_ok());
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(check_empty(dir.path()).is_err());
        assert!(check_empty(&dir.path().join("file")).is_err());
    }

    #[test]
    fn the_copy_has_the_name_and_says_where_highmem_is() {
        let dir = tempfile::tempdir().unwrap();
        let patch = patch(Path::new("/some where/highmem")).unwrap();
        let count = copy(&template(), dir.path(), "mine", &patch).unwrap();
        let files = tree::source_files(dir.path()).unwrap();
        assert_eq!(files.len(), count);
        assert!(!files.contains(Path::new(FOR_CARGO_GENERATE)));
        for file in files {
            let text = fs::read_to_string(dir.path().join(&file)).unwrap();
            assert!(!text.contains("{{"), "{}", file.display());
        }
        let manifest: toml::Table = fs::read_to_string(dir.path().join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("mine"));
        assert_eq!(manifest["patch"]["crates-io"]["highmem"]["path"].as_str(), Some("/some where/highmem"));
        assert!(super::patch(Path::new("/it's here")).is_err());
    }

    #[test]
    fn the_template_names_this_version() {
        let workspace = Workspace::open().unwrap();
        let version = &workspace.package(LIBRARY).unwrap().version;
        let manifest: toml::Table = fs::read_to_string(template().join("Cargo.toml")).unwrap().parse().unwrap();
        let wanted = manifest["dependencies"][LIBRARY].as_str().unwrap();
        assert_eq!(manifest["dev-dependencies"][LIBRARY]["version"].as_str(), Some(wanted));
        let wanted = cargo_metadata::semver::VersionReq::parse(wanted).unwrap();
        assert!(wanted.matches(version), "{wanted} is not {version}");
    }

    #[test]
    fn cargo_generate_fills_the_same_files() {
        let config: toml::Table = fs::read_to_string(template().join(FOR_CARGO_GENERATE)).unwrap().parse().unwrap();
        let files = config["template"]["include"].as_array().unwrap();
        let files: Vec<&str> = files.iter().filter_map(toml::Value::as_str).collect();
        assert_eq!(files, NAMED);
    }

    #[test]
    fn the_template_has_this_target() {
        let ours = template().join("../kernel/targets/i686-none.json");
        let its = template().join("targets/i686-none.json");
        assert_eq!(fs::read_to_string(its).unwrap(), fs::read_to_string(ours).unwrap());
    }

    /// The lines of a text without what they are indented by.
    fn trimmed(text: &str) -> String {
        text.lines().map(|line| format!("{}\n", line.trim())).collect()
    }

    #[test]
    fn the_tutorial_has_this_code() {
        let code = tree::source_files(&template()).unwrap();
        let code = code.iter().map(|file| trimmed(&fs::read_to_string(template().join(file)).unwrap()));
        let code = code.collect::<Vec<_>>().join("\n");
        let tutorial = trimmed(&fs::read_to_string(template().join("../docs/tutorial.md")).unwrap());
        let mut blocks = 0;
        for part in tutorial.split("\n```rust\n").skip(1) {
            let (block, _) = part.split_once("```\n").expect("a block ends");
            for item in block.split("\n\n") {
                assert!(code.contains(&format!("\n{}\n", item.trim())), "this is not in the template:\n{item}");
            }
            blocks += 1;
        }
        assert_eq!(blocks, tutorial.matches("```rust").count(), "each block of Rust is looked for");
        assert_ne!(blocks, 0);
    }
}
