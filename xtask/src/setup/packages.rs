//! Debian's packages, and their installation.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::say;

/// A package of Debian and its derivatives.
pub struct Package {
    /// What Debian calls it.
    pub name: &'static str,
    purpose: &'static str,
}

/// Compiles for the bare machine where rustup cannot.
pub const RUSTC: Package =
    Package { name: "rustc-web", purpose: "a Rust compiler whose standard library is there as source" };
/// Drives it.
pub const CARGO: Package = Package { name: "cargo-web", purpose: "the cargo that belongs to it" };
/// The source of `core`.
pub const RUST_SRC: Package =
    Package { name: "rust-web-src", purpose: "the source of `core` and `alloc` (rustup: rust-src)" };
/// The emulator.
pub const QEMU_X86: Package =
    Package { name: "qemu-system-x86", purpose: "the PC that the programs run on, 7.0 or later" };
/// The linker.
pub const BINUTILS: Package = Package { name: "binutils", purpose: "`ld`, which links 32-bit and 64-bit x86 ELF" };
/// Compiles the module that measures Linux, for 32 bits: no library for them is needed.
pub const GCC: Package = Package { name: "gcc", purpose: "a C compiler, for the module that measures Linux" };
/// Drives it.
pub const MAKE: Package = Package { name: "make", purpose: "what the build of that module is written for" };
/// Counts instructions of programs for the host.
pub const VALGRIND: Package =
    Package { name: "valgrind", purpose: "counts the instructions of benchmarks on the host" };

/// Installs `packages` with apt-get, or says how the user can.
pub fn install(packages: &[&Package]) -> Result<()> {
    say::note("missing:");
    for package in packages {
        say::note(&format!("  {:<16} {}", package.name, package.purpose));
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    match way() {
        Way::None => {
            bail!("this is no Debian with apt-get: install the equivalents of {}, then try again", names.join(", "))
        }
        Way::Sudo => bail!("packages are missing; run `{}`, then try again", command(&names)),
        Way::Root => {}
    }
    apt_get(&["update"])?;
    let options = ["install", "--yes", "--no-install-recommends", "--no-remove"];
    apt_get(&[&options[..], &names].concat())
}

/// How packages can be installed here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By this program.
    Root,
    /// By the user, who is not root.
    Sudo,
    /// Not with apt-get.
    None,
}

/// Looks.
pub fn way() -> Way {
    if process::answer(Command::new("apt-get").arg("--version")).is_none() {
        Way::None
    } else if rustix::process::geteuid().is_root() {
        Way::Root
    } else {
        Way::Sudo
    }
}

/// What the user has to run to install them.
pub fn command(names: &[&str]) -> String {
    format!("sudo apt-get install -y --no-install-recommends {}", names.join(" "))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    say::note(&format!("apt-get {}", arguments.join(" ")));
    let mut command = Command::new("apt-get");
    command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let status = command.stdin(Stdio::null()).status().context("cannot run apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` failed ({status}); its messages are above", arguments.join(" "));
    }
    Ok(())
}
