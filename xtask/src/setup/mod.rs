//! Finds what is needed to build and boot bare-metal programs, and installs what is missing where it can.

mod packages;
mod toolchain;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::qemu::QEMU;
use crate::say;
use crate::workspace::Workspace;
use packages::{BINUTILS, GCC, MAKE, Package, QEMU_X86};
pub use toolchain::{Choice, Toolchain, active_rustc, parse_rustc_version};

/// The oldest QEMU with everything that the programs rely on.
const OLDEST_QEMU: (u64, u64) = (7, 0);

/// How long a download through rustup may take.
pub const DOWNLOAD: Duration = Duration::from_secs(60);

/// What the bare-metal programs are wanted for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// To compile them.
    Build,
    /// To run them, too.
    Boot,
}

/// Makes sure that all that is needed is there; says what was chosen.
pub fn prepare(choice: Choice, need: Need) -> Result<Toolchain> {
    say::heading("Set-up");
    let found = toolchain::find(choice)?;
    let mut missing: Vec<&Package> = Vec::new();
    if found.is_none() {
        missing.extend(&toolchain::PACKAGES);
    }
    if !links_both() {
        missing.push(&BINUTILS);
    }
    if need >= Need::Boot && qemu_version().is_none() {
        missing.push(&QEMU_X86);
    }
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    let toolchain = match found {
        Some(toolchain) => toolchain,
        None => toolchain::debian()?,
    };
    say::note(&format!("toolchain  {toolchain}"));
    if !links_both() {
        bail!("`ld` cannot link elf_i386 and elf_x86_64; put GNU ld for x86 (Debian's binutils) first on the PATH");
    }
    say::note("linker     ld (elf_i386, elf_x86_64)");
    if need >= Need::Boot {
        let version = qemu_version().with_context(|| format!("`{QEMU} --version` says nothing that makes sense"))?;
        let (major, minor) = version;
        if version < OLDEST_QEMU {
            let (wanted, least) = OLDEST_QEMU;
            bail!("QEMU {major}.{minor} is too old; install {wanted}.{least} or later");
        }
        say::note(&format!("emulator   QEMU {major}.{minor}"));
    }
    Ok(toolchain)
}

/// Makes sure that a module of Linux can be built. Its kernel and headers are fetched elsewhere, as packages that are not installed.
pub fn for_linux() -> Result<()> {
    for (program, package) in [("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("tar", "tar")] {
        if process::answer(Command::new(program).arg("--version")).is_none() {
            bail!(
                "there is no `{program}` (package {package}): Linux is compared with on Debian, and on what derives from it"
            );
        }
    }
    let tools = [("gcc", &GCC), ("make", &MAKE)];
    let is_missing = |program: &str| process::answer(Command::new(program).arg("--version")).is_none();
    let missing: Vec<&Package> =
        tools.into_iter().filter(|(program, _)| is_missing(program)).map(|(_, package)| package).collect();
    if missing.is_empty() { Ok(()) } else { packages::install(&missing) }
}

/// The emulator's version, as it says it.
pub fn qemu_says() -> Option<String> {
    let text = process::answer(Command::new(QEMU).arg("--version"))?;
    text.lines().next()?.strip_prefix("QEMU emulator version ").map(str::to_owned)
}

/// Makes sure that the host toolchain has `component`, which `cargo COMMAND` runs.
pub fn component(workspace: &Workspace, command: &str, component: &str) -> Result<()> {
    let there = || process::answer(&mut workspace.cargo(&[command, "--version"])).is_some();
    if there() {
        return Ok(());
    }
    say::note(&format!("`cargo {command}` is missing: trying `rustup component add {component}`"));
    if toolchain::rustup_add(component) && there() {
        return Ok(());
    }
    bail!("`cargo {command}` is missing; install it (`rustup component add {component}`)")
}

/// Whether `ld` links programs for both targets.
fn links_both() -> bool {
    let text = process::answer(Command::new("ld").arg("-V")).unwrap_or_default();
    ["elf_i386", "elf_x86_64"].iter().all(|wanted| text.split_whitespace().any(|word| word == *wanted))
}

fn qemu_version() -> Option<(u64, u64)> {
    parse_qemu_version(&process::answer(Command::new(QEMU).arg("--version"))?)
}

fn parse_qemu_version(text: &str) -> Option<(u64, u64)> {
    let version = text.strip_prefix("QEMU emulator version ")?.split_whitespace().next()?;
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_versions() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright (c) 2003-2022\n";
        assert_eq!(parse_qemu_version(debian), Some((7, 2)));
        assert_eq!(parse_qemu_version("QEMU emulator version 10.0.2\n"), Some((10, 0)));
        assert_eq!(
            parse_qemu_version("QEMU emulator version 6.2.0\n").map(|version| version < OLDEST_QEMU),
            Some(true)
        );
        for bad in ["", "version 7.2", "QEMU emulator version x.y", "QEMU emulator version 7"] {
            assert_eq!(parse_qemu_version(bad), None, "{bad}");
        }
    }
}
