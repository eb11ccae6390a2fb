//! The three paging modes that the kernel boots in: what each is built with, and the machine that shows it best. And where in the address
//! space each CPU has its slots.

use std::fmt;
use std::process::Command;

use clap::ValueEnum;
use serde::Deserialize;

/// A paging mode of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// 32-bit, 4-byte entries, memory below 4 GiB
    NonPae,
    /// 32-bit, 8-byte entries
    #[default]
    Pae,
    /// 64-bit, 4 levels, or 5 where the CPU has LA57
    #[value(name = "x86_64")]
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NonPae, Self::Pae, Self::X86_64];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonPae => "non-pae",
            Self::Pae => "pae",
            Self::X86_64 => "x86_64",
        }
    }

    /// The target, as cargo takes it.
    pub fn target(self) -> &'static str {
        match self {
            Self::NonPae | Self::Pae => "kernel/targets/i686-none.json",
            Self::X86_64 => "x86_64-unknown-none",
        }
    }

    /// Features of package `kernel`.
    pub fn features(self) -> &'static [&'static str] {
        match self {
            Self::NonPae => &["non-pae"],
            Self::Pae | Self::X86_64 => &[],
        }
    }

    /// Tells cargo what the target does not say by itself.
    pub fn configure(self, cargo: &mut Command) {
        match self {
            // The processors without PAE are those without `cmov`, too.
            Self::NonPae => cargo.env("CARGO_TARGET_I686_NONE_RUSTFLAGS", "-Ctarget-cpu=pentium"),
            Self::Pae => cargo,
            // The target names a linker that not everybody has, and would have the kernel relocated.
            Self::X86_64 => cargo
                .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", "ld")
                .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS", "-Crelocation-model=static"),
        };
    }

    /// QEMU's CPU model, if nobody says otherwise.
    pub fn cpu(self) -> &'static str {
        match self {
            Self::NonPae => "pentium",
            Self::Pae => "max",
            Self::X86_64 => "max,la57=off",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where each CPU has its slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// In its own part of one window that all CPUs see
    #[default]
    Shared,
    /// At the same addresses as every other, behind page tables of its own
    Cpu,
}

impl Window {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Shared, Self::Cpu];

    /// Features of package `kernel`.
    pub fn features(self) -> &'static [&'static str] {
        match self {
            Self::Shared => &[],
            Self::Cpu => &["cpu-window"],
        }
    }

    /// What to say of it behind other words: of the usual one, nothing.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Shared => "",
            Self::Cpu => ", cpu window",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for arch in Arch::ALL {
            assert_eq!(Arch::from_str(arch.name(), false), Ok(arch));
        }
    }
}
