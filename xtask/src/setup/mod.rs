//! Finds what is needed to build and boot bare-metal programs, and installs what is missing where it can.

mod doctor;
mod packages;
mod toolchain;
mod tools;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::say;
use crate::workspace::Workspace;
pub use doctor::run as doctor;
use packages::Package;
pub use toolchain::{Choice, Toolchain, active_rustc, parse_rustc_version};
pub use tools::qemu_says;
use tools::{CC, EMULATOR, LINKER, MAKE, OLDEST_QEMU, VALGRIND, parse_qemu_version};

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
    let tools = if need >= Need::Boot { &[&LINKER, &EMULATOR][..] } else { &[&LINKER] };
    missing.extend(tools.iter().filter(|tool| tool.is_missing()).map(|tool| tool.package));
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    let toolchain = match found {
        Some(toolchain) => toolchain,
        None => toolchain::debian()?,
    };
    say::note(&format!("toolchain  {toolchain}"));
    if LINKER.is_missing() {
        bail!("`ld` cannot link elf_i386 and elf_x86_64; put GNU ld for x86 (Debian's binutils) first on the PATH");
    }
    say::note("linker     ld (elf_i386, elf_x86_64)");
    if need >= Need::Boot {
        let says = EMULATOR.find();
        let version = says.as_deref().and_then(parse_qemu_version);
        let version =
            version.with_context(|| format!("`{} --version` says nothing that makes sense", EMULATOR.name))?;
        let (major, minor) = version;
        if version < OLDEST_QEMU {
            let (wanted, least) = OLDEST_QEMU;
            bail!("QEMU {major}.{minor} is too old; install {wanted}.{least} or later");
        }
        say::note(&format!("emulator   QEMU {major}.{minor}"));
    }
    Ok(toolchain)
}

/// Whether there are Debian's packages, of which Linux is one.
pub fn is_debian() -> bool {
    packages::way() != packages::Way::None
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
    let missing: Vec<&Package> =
        [&CC, &MAKE].into_iter().filter(|tool| tool.is_missing()).map(|tool| tool.package).collect();
    if missing.is_empty() { Ok(()) } else { packages::install(&missing) }
}

/// Makes sure that there is valgrind.
pub fn valgrind() -> Result<()> {
    if VALGRIND.is_missing() {
        packages::install(&[VALGRIND.package])?;
    }
    let version = VALGRIND.find().context("`valgrind --version` says nothing")?;
    say::note(&format!("counter    {version}"));
    Ok(())
}

/// Makes sure that the host toolchain has `component`, which `cargo COMMAND` runs.
pub fn component(workspace: &Workspace, command: &str, component: &str) -> Result<()> {
    let there = || component_says(workspace, command).is_some();
    if there() {
        return Ok(());
    }
    say::note(&format!("`cargo {command}` is missing: trying `rustup component add {component}`"));
    if toolchain::rustup_add(component) && there() {
        return Ok(());
    }
    bail!("`cargo {command}` is missing; install it (`rustup component add {component}`)")
}

/// The version of `cargo COMMAND`, if the host toolchain has it.
fn component_says(workspace: &Workspace, command: &str) -> Option<String> {
    Some(process::answer(&mut workspace.cargo(&[command, "--version"]))?.trim().to_owned())
}
