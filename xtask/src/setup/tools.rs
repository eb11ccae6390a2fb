//! The programs of others that commands run, and the Debian packages that have them.

use std::process::Command;

use super::packages::{self, Package};
use crate::process;
use crate::qemu::QEMU;

/// The oldest QEMU with everything that the programs rely on.
pub const OLDEST_QEMU: (u64, u64) = (7, 0);

/// A program that is not written in Rust.
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// What runs it.
    pub wanted_by: &'static str,
    /// Where Debian has it.
    pub package: &'static Package,
    look: fn() -> Option<String>,
}

/// Links programs for the bare machine, of 32 and of 64 bits.
pub const LINKER: Tool =
    Tool { name: "ld", wanted_by: "demo, test, qemu, bench", package: &packages::BINUTILS, look: linker };

/// Is the bare machine.
pub const EMULATOR: Tool =
    Tool { name: QEMU, wanted_by: "demo, test, qemu, bench", package: &packages::QEMU_X86, look: qemu_says };

/// Compiles the module that measures Linux.
pub const CC: Tool = Tool { name: "gcc", wanted_by: "bench", package: &packages::GCC, look: || first_line("gcc") };

/// Drives that.
pub const MAKE: Tool = Tool { name: "make", wanted_by: "bench", package: &packages::MAKE, look: || first_line("make") };

/// Counts the instructions of benchmarks on the host.
pub const VALGRIND: Tool =
    Tool { name: "valgrind", wanted_by: "test", package: &packages::VALGRIND, look: || first_line("valgrind") };

/// All of them.
pub const ALL: [&Tool; 5] = [&LINKER, &EMULATOR, &CC, &MAKE, &VALGRIND];

impl Tool {
    /// What it says of itself, if it is there and can do what is asked of it.
    pub fn find(&self) -> Option<String> {
        (self.look)()
    }

    /// Whether it has to be installed.
    pub fn is_missing(&self) -> bool {
        self.find().is_none()
    }
}

/// What a program says first when it is asked for its version.
fn first_line(program: &str) -> Option<String> {
    Some(process::answer(Command::new(program).arg("--version"))?.lines().next()?.to_owned())
}

/// GNU ld, if it links programs for both targets.
fn linker() -> Option<String> {
    let text = process::answer(Command::new("ld").arg("-V"))?;
    let links = |wanted| text.split_whitespace().any(|word| word == wanted);
    ["elf_i386", "elf_x86_64"].into_iter().all(links).then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// The emulator's version, as it says it.
pub fn qemu_says() -> Option<String> {
    first_line(QEMU)?.strip_prefix("QEMU emulator version ").map(str::to_owned)
}

/// As numbers.
pub fn parse_qemu_version(says: &str) -> Option<(u64, u64)> {
    let version = says.split_whitespace().next()?;
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_versions() {
        assert_eq!(parse_qemu_version("7.2.22 (Debian 1:7.2+dfsg-7)"), Some((7, 2)));
        assert_eq!(parse_qemu_version("10.0.2"), Some((10, 0)));
        assert_eq!(parse_qemu_version("6.2.0").map(|version| version < OLDEST_QEMU), Some(true));
        for bad in ["", "x.y", "7"] {
            assert_eq!(parse_qemu_version(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let tool = |look| Tool { name: "tool", wanted_by: "test", package: &packages::MAKE, look };
        assert!(tool(|| first_line("no-such-program-at-all")).is_missing());
        assert_eq!(tool(|| first_line("cargo")).find().map(|text| text.starts_with("cargo ")), Some(true));
    }
}
