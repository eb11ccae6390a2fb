//! A toolchain that can build `core`, which takes the source of the standard library.
//!
//! The user's own toolchain comes first; then Debian's, which brings the source as a package and needs
//! no server but Debian's. It lives beside rustup's and is called by path, with every variable removed
//! that a cargo under rustup hands to its children.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::semver::Version;
use clap::ValueEnum;

use super::DOWNLOAD;
use super::packages::{self, Package};
use crate::process;
use crate::say;

/// What Debian's toolchain consists of.
pub const PACKAGES: [Package; 3] = [packages::RUSTC, packages::CARGO, packages::RUST_SRC];

/// Where Debian puts it.
const DEBIAN_BIN: &str = "/usr/bin";

/// The oldest compiler for this workspace, from its manifest.
pub const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Which toolchain to use for the bare machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The active one if it can have rust-src, else Debian's
    Auto,
    /// The active one, normally rustup's
    Rustup,
    /// Debian's rustc-web, cargo-web and rust-web-src
    Debian,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Active,
    Debian,
}

/// A toolchain that can build `core`.
#[derive(Debug)]
pub struct Toolchain {
    /// The compiler's version.
    pub version: Version,
    /// Whether target files are behind an unstable option.
    pub gates_json_targets: bool,
    /// Whether it brings clippy.
    pub has_clippy: bool,
    origin: Origin,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            Origin::Active => "the active toolchain, with rust-src",
            Origin::Debian => "Debian's, with rust-web-src",
        };
        write!(f, "Rust {} ({origin})", self.version)
    }
}

impl Toolchain {
    fn new(origin: Origin) -> Option<Self> {
        let rustc = match origin {
            Origin::Active => active_rustc(),
            Origin::Debian => Path::new(DEBIAN_BIN).join("rustc"),
        };
        let run = |arguments: &[&str]| process::answer(environment(Command::new(&rustc).args(arguments), origin));
        let version = parse_rustc_version(&run(&["-vV"])?)?;
        let sysroot = run(&["--print", "sysroot"])?;
        let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
        if !core.is_dir() || is_too_old(&version) {
            return None;
        }
        let mut toolchain = Self { version, gates_json_targets: false, has_clippy: false, origin };
        let options = process::answer(toolchain.cargo().args(["-Z", "help"]))?;
        toolchain.gates_json_targets = options.contains("json-target-spec");
        toolchain.has_clippy = match origin {
            Origin::Active => process::answer(toolchain.cargo().args(["clippy", "--version"])).is_some(),
            Origin::Debian => Path::new(DEBIAN_BIN).join("cargo-clippy").exists(),
        };
        Some(toolchain)
    }

    /// Its cargo, with unstable options open, and without what is meant for the host alone.
    pub fn cargo(&self) -> Command {
        let program = match self.origin {
            Origin::Active => std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into(),
            Origin::Debian => Path::new(DEBIAN_BIN).join("cargo"),
        };
        let mut command = Command::new(program);
        environment(&mut command, self.origin).env("RUSTC_BOOTSTRAP", "1");
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            command.env_remove(variable);
        }
        command
    }
}

/// The toolchain to use, if it is there.
pub fn look(choice: Choice) -> Option<Toolchain> {
    match choice {
        Choice::Auto => Toolchain::new(Origin::Active).or_else(|| Toolchain::new(Origin::Debian)),
        Choice::Rustup => Toolchain::new(Origin::Active),
        Choice::Debian => Toolchain::new(Origin::Debian),
    }
}

/// The toolchain to use, if it need not be installed from packages.
pub fn find(choice: Choice) -> Result<Option<Toolchain>> {
    let there = look(choice);
    if there.is_some() || choice == Choice::Debian {
        return Ok(there);
    }
    say::note("the active toolchain has no rust-src: trying `rustup component add rust-src`");
    let added = rustup_add("rust-src").then(|| Toolchain::new(Origin::Active)).flatten();
    if added.is_none() && choice == Choice::Rustup {
        bail!(
            "the active toolchain cannot build `core`; it needs Rust {OLDEST} or later with rust-src (or leave out `--toolchain rustup`)"
        );
    }
    Ok(added)
}

/// Debian's toolchain, once its packages are there.
pub fn debian() -> Result<Toolchain> {
    Toolchain::new(Origin::Debian)
        .with_context(|| format!("Debian's rustc-web in {DEBIAN_BIN} cannot build `core`: it needs Rust {OLDEST} or later (enable Debian's security updates), or use rustup with rust-src"))
}

/// Adds a component to the active toolchain. Says so if that cannot be done.
pub fn rustup_add(component: &str) -> bool {
    let failure = match process::run_limited(Command::new("rustup").args(["component", "add", component]), DOWNLOAD) {
        Ok(Some(status)) if status.success() => return true,
        Ok(Some(status)) => format!("rustup failed ({status})"),
        Ok(None) => format!("rustup got nowhere within {}", say::seconds(DOWNLOAD)),
        Err(error) => format!("cannot run rustup: {error}"),
    };
    say::note(&failure);
    false
}

/// The release that `rustc -vV` names.
pub fn parse_rustc_version(text: &str) -> Option<Version> {
    let release = text.lines().find_map(|line| line.strip_prefix("release: "))?;
    Version::parse(release.trim()).ok()
}

/// The compiler that cargo uses by default.
pub fn active_rustc() -> PathBuf {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into()
}

/// Whether a compiler is too old for this workspace.
pub fn is_too_old(version: &Version) -> bool {
    let oldest = OLDEST.split('.').map(|part| part.parse().unwrap_or(0));
    [version.major, version.minor].into_iter().lt(oldest.take(2))
}

fn environment(command: &mut Command, origin: Origin) -> &mut Command {
    if origin == Origin::Debian {
        for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "LD_LIBRARY_PATH"] {
            command.env_remove(variable);
        }
        let bin = Path::new(DEBIAN_BIN);
        command.env("RUSTC", bin.join("rustc")).env("RUSTDOC", bin.join("rustdoc"));
        let mut path = std::ffi::OsString::from(DEBIAN_BIN);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        command.env("PATH", path);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustc_versions() {
        let verbose = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        assert_eq!(parse_rustc_version(verbose), Some(Version::new(1, 95, 0)));
        assert!(parse_rustc_version("release: 1.97.0-nightly\n").is_some_and(|version| !is_too_old(&version)));
        assert!(is_too_old(&Version::new(1, 63, 0)));
        assert_eq!(parse_rustc_version("rustc 1.95.0"), None);
    }
}
