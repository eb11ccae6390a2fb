//! The step `ui`: what must not compile, and how the compiler says so; the museum of real bugs among it.
//!
//! The expected messages belong to one compiler version, which `ui-tests/RUSTC_VERSION` names. With
//! another compiler active, one of that version is looked for.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use cargo_metadata::semver::Version;

use super::Ledger;
use crate::process;
use crate::say;
use crate::setup::{DOWNLOAD, active_rustc, parse_rustc_version};
use crate::workspace::{LIBRARY, Workspace};

/// Its test targets.
pub const TARGETS: [&str; 2] = ["ui", "museum"];

/// Which compiler the messages belong to.
pub const RECORD: &str = "ui-tests/RUSTC_VERSION";

/// How many runs there are side by side.
const PARTS: usize = 2;

/// Runs the tests with the compiler that they belong to.
pub fn run(workspace: &Workspace, ledger: &mut Ledger) -> Result<()> {
    let text = fs::read_to_string(workspace.root.join(RECORD)).with_context(|| format!("cannot read {RECORD}"))?;
    let wanted =
        minor(&text).with_context(|| format!("{RECORD} holds `{}`, which is no version such as 1.95", text.trim()))?;
    let active = version(&mut Command::new(active_rustc()));
    let with_that_compiler: Box<dyn Fn() -> Command> = if active.as_ref().is_some_and(|active| matches(active, wanted))
    {
        Box::new(|| workspace.cargo(&[]))
    } else {
        let active = active.map_or("unknown".to_owned(), |version| version.to_string());
        say::note(&format!("the messages belong to Rust {}.{}; active is {active}", wanted.0, wanted.1));
        let toolchain = toolchain(wanted).with_context(|| {
            let (major, minor) = wanted;
            format!(
                "{RECORD} names Rust {major}.{minor}, active is {active}, and rustup has none that fits: \
                 install it (`rustup toolchain install {major}.{minor}.0`), or record the messages of {active} \
                 (TRYBUILD=overwrite cargo test --test ui --test museum), review them, and change {RECORD}"
            )
        })?;
        say::note(&format!("using rustup's toolchain {toolchain}"));
        Box::new(move || cargo_of(workspace, &toolchain))
    };
    // The compiler is asked about one program after the other, so that a second processor would have nothing to do.
    let part = |part: usize| {
        let mut cargo = with_that_compiler();
        cargo
            .args(["test", "-p", LIBRARY, "--no-fail-fast"])
            .args(TARGETS.iter().flat_map(|target| ["--test", target]));
        cargo.env("UI_PART", format!("{part}/{PARTS}"));
        cargo.env("CARGO_TARGET_DIR", workspace.target.join(format!("ui-{part}"))).stderr(Stdio::piped());
        cargo
    };
    ledger.tests_side_by_side("cargo test --test ui --test museum", (1..=PARTS).map(part).collect())
}

/// The cargo of one of rustup's toolchains.
pub fn cargo_of(workspace: &Workspace, toolchain: &str) -> Command {
    let mut rustup = Command::new("rustup");
    rustup.args(["run", toolchain, "cargo"]).current_dir(&workspace.root);
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        rustup.env_remove(variable);
    }
    rustup
}

/// A toolchain of rustup with the version `wanted`, installed if it can be.
pub fn toolchain(wanted: (u64, u64)) -> Option<String> {
    let (major, minor) = wanted;
    let listed = process::answer(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let mut names = listed.lines().filter_map(|line| line.split_whitespace().next());
    if let Some(name) = names.find(|name| is_version(name, wanted)) {
        return Some(name.to_owned());
    }
    let name = format!("{major}.{minor}.0");
    say::note(&format!("trying `rustup toolchain install {name}`"));
    let mut install = Command::new("rustup");
    let done =
        process::run_limited(install.args(["toolchain", "install", &name, "--profile", "minimal"]), 3 * DOWNLOAD);
    let done = done.is_ok_and(|status| status.is_some_and(|status| status.success()));
    (done && is_version(&name, wanted)).then_some(name)
}

fn is_version(toolchain: &str, wanted: (u64, u64)) -> bool {
    let mut rustc = Command::new("rustup");
    version(rustc.args(["run", toolchain, "rustc"])).is_some_and(|version| matches(&version, wanted))
}

pub fn version(rustc: &mut Command) -> Option<Version> {
    parse_rustc_version(&process::answer(rustc.arg("-vV"))?)
}

fn matches(version: &Version, (major, minor): (u64, u64)) -> bool {
    (version.major, version.minor) == (major, minor) && version.pre.is_empty()
}

/// The first two numbers of a version.
pub fn minor(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.trim().split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_versions() {
        assert_eq!(minor("1.95\n"), Some((1, 95)));
        assert_eq!(minor("1.95.0"), Some((1, 95)));
        assert_eq!(minor("stable"), None);
        assert_eq!(minor("1"), None);
        assert!(matches(&Version::new(1, 95, 1), (1, 95)));
        assert!(!matches(&Version::new(1, 96, 0), (1, 95)));
    }
}
