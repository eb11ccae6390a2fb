//! The step `template`: somebody makes a kernel in an empty folder, builds it, boots it, and runs its tests; makes mistakes in it, and
//! is told; and makes mistakes when it is made.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use super::examples::refusal;
use super::{Bare, Ledger};
use crate::process::{self, End};
use crate::setup;

/// How long one command may take, with all that it compiles.
const LIMIT: Duration = Duration::from_secs(600);

/// What the kernel prints when it has done what it is there for; the address of a page follows.
const FIRST_PAGE: &str = "first high page mapped: 0x";

/// Where the kernel's direct map ends.
const DIRECT_MAP_END: u64 = 1 << 30;

/// The targets of the kernel's two modes.
const TARGETS: [&str; 2] = ["x86_64-unknown-none", "targets/i686-none.json"];

/// The pages that show what the kernel prints.
const PAGES: [&str; 3] = ["README.md", "template/README.md", TUTORIAL];

const TUTORIAL: &str = "docs/tutorial.md";

/// A mistake that is made in the kernel, and who tells.
struct Mistake {
    what: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
    command: &'static [&'static str],
    told: &'static str,
    /// The tutorial makes this mistake, too, and shows what is told.
    is_taught: bool,
}

const MISTAKES: [Mistake; 7] = [
    Mistake {
        what: "a window that is not linked, in 64-bit mode",
        file: "src/main.rs",
        right: "    highmem_glue::link_window();\n",
        wrong: "",
        command: &["run"],
        told: "are the window's tables linked for this address?",
        is_taught: true,
    },
    Mistake {
        what: "a window that is linked elsewhere, in 32-bit mode",
        file: "src/highmem_glue.rs",
        right: "directory.add(index)",
        wrong: "directory.add(index + 1)",
        command: &["run", "pae"],
        told: "are the window's tables linked for this address?",
        is_taught: false,
    },
    Mistake {
        what: "exceptions without handlers",
        file: "src/main.rs",
        right: "    faults::init();\n",
        wrong: "",
        command: &["run"],
        told: "the machine was reset",
        is_taught: false,
    },
    Mistake {
        what: "a slot that is used twice",
        file: "src/first_page.rs",
        right: "    mapped.address()\n} // and has none any more\n",
        wrong: "    let again = kmap_atomic(atomic.slots().user0, page);\n    mapped.address()\n}\n",
        command: &["test", "--lib"],
        told: "cannot borrow `atomic` as mutable more than once at a time",
        is_taught: false,
    },
    Mistake {
        what: "a text that is written to the wrong place",
        file: "src/first_page.rs",
        right: "mapped[..text.len()].copy_from_slice(text)",
        wrong: "mapped[1..=text.len()].copy_from_slice(text)",
        command: &["test", "--lib"],
        told: "test first_page::tests::what_is_written_is_in_the_page_and_comes_back ... FAILED",
        is_taught: false,
    },
    Mistake {
        what: "an address that is used when its page is unmapped",
        file: "src/first_page.rs",
        right: "    text.copy_from_slice(&mapped[..text.len()]);\n    mapped.address()\n",
        wrong: "    let address = mapped.address();\n    drop(mapped);\n    text[0] = unsafe { *(address as *const u8) };\n    address\n",
        command: &["test", "--lib"],
        told: "slot User1",
        is_taught: true,
    },
    Mistake {
        what: "a frame that the direct map has, too",
        file: "src/frames.rs",
        right: "region.start.max(direct_map_end)",
        wrong: "region.start",
        command: &["test", "--lib"],
        told: "test frames::tests::only_whole_pages_of_memory_above_the_direct_map ... FAILED",
        is_taught: false,
    },
];

/// Makes the kernel, uses it, breaks it.
pub fn run(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let elsewhere = bare.workspace.target.join("new");
    let kernel = elsewhere.join("my-kernel");
    make(bare, &elsewhere, &kernel)?;
    ledger.pass("cargo xtask new");

    for mode in ["x86_64", "pae"] {
        match boots(bare, &kernel, mode)? {
            Ok(line) => ledger.pass(&format!("cargo run {mode}: {line}")),
            Err(why) => ledger.fail(&format!("cargo run {mode}: {why}")),
        }
    }
    ledger.tests("cargo test", cargo(&kernel).args(["test"]))?;
    lints(bare, &kernel, ledger)?;
    for mistake in &MISTAKES {
        match mistake.is_told(bare, &kernel)? {
            Ok(line) => ledger.pass(&format!("{}: {line}", mistake.what)),
            Err(why) => ledger.fail(&format!("{}: {why}", mistake.what)),
        }
    }
    refusals(bare, &kernel, ledger)
}

/// Has `cargo xtask new` make the kernel, in a folder that is not there. What an earlier run has compiled is put back afterwards.
fn make(bare: &Bare, elsewhere: &Path, kernel: &Path) -> Result<()> {
    let (compiled, kept) = (kernel.join("target"), elsewhere.join("compiled"));
    let prepare = || {
        fs::create_dir_all(elsewhere)?;
        if compiled.exists() && !kept.exists() {
            fs::rename(&compiled, &kept)?;
        }
        if kernel.exists() { fs::remove_dir_all(kernel) } else { Ok(()) }
    };
    prepare().with_context(|| format!("cannot clear {}", elsewhere.display()))?;
    let mut command = Command::new(std::env::current_exe().context("this program has no name")?);
    command.args(["new", "my-kernel"]).current_dir(elsewhere);
    if let Some(choice) = bare.choice.to_possible_value() {
        command.args(["--toolchain", choice.get_name()]);
    }
    let (succeeded, lines) = heard(&mut command)?;
    if !succeeded || lines.last().is_none_or(|line| line != "new: PASS") {
        bail!("`cargo xtask new` failed:\n{}", lines.join("\n"));
    }
    if kept.exists() {
        fs::rename(&kept, &compiled).with_context(|| format!("cannot move {}", kept.display()))?;
    }
    Ok(())
}

/// Boots the kernel; the line about its first page. What it prints is what is shown wherever somebody is told to boot it.
fn boots(bare: &Bare, kernel: &Path, mode: &str) -> Result<Result<String, String>> {
    let (succeeded, lines) = heard(cargo(kernel).args(["run", mode]))?;
    let output = lines.join("\n");
    let first = lines.iter().find_map(|line| Some((line, line.strip_prefix(FIRST_PAGE)?)));
    let Some((line, Ok(address))) = first.map(|(line, address)| (line, u64::from_str_radix(address, 16))) else {
        return Ok(Err(output));
    };
    if !succeeded || address < DIRECT_MAP_END {
        return Ok(Err(output));
    }
    for page in PAGES {
        let text = read(&bare.workspace.root.join(page))?;
        let shown =
            text.split("```").find_map(|block| block.strip_prefix("text\n").filter(|it| it.contains(FIRST_PAGE)));
        if shown.is_none_or(|shown| !output.contains(shown.trim())) {
            return Ok(Err(format!("{page} shows something else than\n{output}")));
        }
    }
    Ok(Ok(line.clone()))
}

/// The kernel is formatted, and clippy has nothing to say.
fn lints(bare: &Bare, kernel: &Path, ledger: &mut Ledger) -> Result<()> {
    setup::component(bare.workspace, "fmt", "rustfmt")?;
    setup::component(bare.workspace, "clippy", "clippy")?;
    ledger.command("cargo fmt --all --check", cargo(kernel).args(["fmt", "--all", "--check"]))?;
    let mut host = cargo(kernel);
    ledger.command("cargo clippy on the host", host.args(["clippy", "--all-targets", "--", "-D", "warnings"]))?;
    if !bare.toolchain.has_clippy {
        ledger.skip("clippy for the bare machine: this toolchain has none");
        return Ok(());
    }
    for target in TARGETS {
        let mut cargo = bare.toolchain.cargo();
        cargo.current_dir(kernel).args(["clippy", "--bin", "image", "--lib", "--features", "bare-metal"]);
        cargo.args(["-Zbuild-std=core,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"]);
        cargo.args(["--target", target, "--target-dir", "target/kernel", "--", "-D", "warnings"]);
        ledger.command(&format!("cargo clippy for {target}"), &mut cargo)?;
    }
    Ok(())
}

impl Mistake {
    /// Makes the mistake, runs the command, and makes it good again. The line that tells, if the command fails with one.
    fn is_told(&self, bare: &Bare, kernel: &Path) -> Result<Result<String, String>> {
        let file = kernel.join(self.file);
        let text = read(&file)?;
        ensure!(text.matches(self.right).count() == 1, "{} has no such place: {}", self.file, self.right);
        fs::write(&file, text.replace(self.right, self.wrong))?;
        let heard = heard(cargo(kernel).args(self.command));
        fs::write(&file, text)?;
        let (succeeded, lines) = heard?;
        let tutorial = read(&bare.workspace.root.join(TUTORIAL))?;
        Ok(match lines.iter().map(|line| line.trim()).find(|line| line.contains(self.told)) {
            _ if succeeded => Err("nobody notices".to_owned()),
            None => Err(format!("nobody says `{}`:\n{}", self.told, lines.join("\n"))),
            Some(line) if self.is_taught && !(tutorial.contains(line) && tutorial.contains(self.wrong)) => {
                Err(format!("{TUTORIAL} does not show this mistake, and `{line}`"))
            }
            Some(line) => Ok(line.to_owned()),
        })
    }
}

/// What `cargo xtask new` and `cargo run` do not do.
fn refusals(bare: &Bare, kernel: &Path, ledger: &mut Ledger) -> Result<()> {
    let nowhere = bare.workspace.target.join("new").join("nowhere");
    let (kernel_dir, nowhere_dir) = (name(kernel)?, name(&nowhere)?);
    let manifest = kernel.join("Cargo.toml");
    let mistakes: [(&str, &[&str], &str); 6] = [
        ("a folder that is not empty", &[&kernel_dir], "is not empty"),
        ("a file in place of a folder", &[&name(&manifest)?], "is no folder"),
        ("a name that is none", &[&nowhere_dir, "--name", "2nd kernel"], "`2nd kernel` is no name for a package"),
        ("a name that is taken", &[&nowhere_dir, "--name", "highmem"], "another package called `highmem`"),
        ("a crate that is not there", &[&nowhere_dir, "--path-of-crate", &nowhere_dir], "there is no highmem in"),
        ("another crate", &[&nowhere_dir, "--path-of-crate", &kernel_dir], "there is no highmem in"),
    ];
    for (what, arguments, message) in mistakes {
        match refusal(bare, "new", arguments, message)? {
            Ok(_) if nowhere.exists() => ledger.fail(&format!("{what}: there is a kernel all the same")),
            Ok(line) => ledger.pass(&format!("{what}: {line}")),
            Err(why) => ledger.fail(&format!("{what}: {why}")),
        }
    }
    let (succeeded, lines) = heard(cargo(kernel).args(["run", "arm"]))?;
    match lines.iter().find(|line| line.contains("`arm` is no mode")) {
        Some(line) if !succeeded => ledger.pass(&format!("a mode that is none: {line}")),
        _ => ledger.fail(&format!("a mode that is none: {}", lines.join("\n"))),
    }
    Ok(())
}

/// The cargo that a person would call there.
fn cargo(kernel: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(kernel);
    for variable in ["RUSTC_BOOTSTRAP", "CARGO_TARGET_DIR", "CARGO_MANIFEST_DIR"] {
        cargo.env_remove(variable);
    }
    cargo
}

/// Whether a command succeeds, and all that it says.
fn heard(command: &mut Command) -> Result<(bool, Vec<String>)> {
    let mut lines = Vec::new();
    let end = process::stream(command.stderr(Stdio::piped()), Some(LIMIT), |_, line| lines.push(line.to_owned()));
    let end = end.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok((matches!(end, End::Exited(status) if status.success()), lines))
}

fn name(path: &Path) -> Result<String> {
    Ok(path.to_str().with_context(|| format!("{} has strange letters", path.display()))?.to_owned())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
