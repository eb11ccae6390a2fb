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
    let moved: Vec<String> = in_the_way(&names).iter().filter_map(|name| newest_to_be_had(name)).collect();
    let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
    let mut options = vec!["install", "--yes", "--no-install-recommends", "--no-remove"];
    if !moved.is_empty() {
        say::note("installed, but newer than what goes with these packages; replaced by the version that does:");
        moved.iter().for_each(|package| say::note(&format!("  {package}")));
        options.push("--allow-downgrades");
    }
    apt_get(&[&options[..], &names, &moved].concat())
}

/// The installed packages that apt-get would remove to install `names`: such as came from a source that is there no more, and are newer
/// than what they would have to go with.
fn in_the_way(names: &[&str]) -> Vec<String> {
    let mut simulated = Command::new("apt-get");
    simulated.args(["--simulate", "install", "--no-install-recommends"]).args(names);
    removed(&process::answer(&mut simulated).unwrap_or_default())
}

/// What a simulation of apt-get says it would remove.
fn removed(simulation: &str) -> Vec<String> {
    let lines = simulation.lines().filter_map(|line| line.strip_prefix("Remv "));
    lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

/// `name=version`, of the newest version that apt-get can install.
fn newest_to_be_had(name: &str) -> Option<String> {
    newest(&process::answer(Command::new("apt-cache").args(["madison", name]))?)
}

/// The same, of what `apt-cache madison` says.
fn newest(madison: &str) -> Option<String> {
    let mut columns = madison.lines().next()?.split('|').map(str::trim);
    Some(format!("{}={}", columns.next()?, columns.next()?))
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
    format!("sudo apt-get install --no-install-recommends {}", names.join(" "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_remove_is_replaced_instead() {
        let simulation = "The following packages will be REMOVED:\n  qemu-utils\n\
            Remv qemu-utils [1:10.0.2+ds-2~bpo12+1]\nInst seabios (1.16.2-1 Debian:12.15/oldstable [all])\n";
        assert_eq!(removed(simulation), ["qemu-utils"]);
        assert!(removed("Inst seabios (1.16.2-1 Debian:12.15/oldstable [all])\n").is_empty());
        let madison = "qemu-utils | 1:7.2+dfsg-7 | a mirror bookworm/main amd64 Packages\n\
            qemu-utils | 1:7.2+dfsg-5 | a mirror bookworm-security/main amd64 Packages\n";
        assert_eq!(newest(madison).unwrap(), "qemu-utils=1:7.2+dfsg-7");
        assert_eq!(newest(""), None);
    }
}
