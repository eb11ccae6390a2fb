//! Boots a program in QEMU and says how it ended.
//!
//! A bare-metal program has no exit status of its own: it reports on the serial port and writes its
//! verdict to a debug device, and whatever else can happen (a triple fault, silence, a QEMU that does
//! not start) must not be mistaken for either verdict. Each of them is one [`Outcome`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::arch::Arch;
use crate::disk::Disk;
use crate::process::{self, End, Source};
use crate::workspace::Program;

/// The emulator; it runs 32-bit guests as well.
pub const QEMU: &str = "qemu-system-x86_64";

/// QEMU's exit status after the guest wrote 0x10 to the debug device.
const PASSED: i32 = 33;

/// The size of a machine's memory, or of its disk, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Memory(u64);

impl Memory {
    /// As much as the programs want: 2 GiB of it lie above 4 GiB, and more.
    pub const SIX_GIB: Self = Self(6 << 10);

    /// All below 4 GiB.
    pub const THREE_GIB: Self = Self(3 << 10);

    /// More than the 36 address bits of the first processors with PAE can name.
    pub const SEVENTY_GIB: Self = Self(70 << 10);

    /// More than this a host may not have to spare.
    const LARGE: Self = Self(8 << 10);

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0 << 20
    }

    /// As much as the programs want and as the CPU can address: a Pentium has 32 address bits.
    pub fn of(cpu: &str) -> Self {
        let model = cpu.split(',').next();
        if model == Some("pentium") { Self::THREE_GIB } else { Self::SIX_GIB }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no memory size; write 512M or 6G");
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
        let scale = match unit {
            "M" | "m" => 1,
            "G" | "g" => 1 << 10,
            _ => return Err(bad()),
        };
        let mebibytes = number.parse().ok().and_then(|number: u64| number.checked_mul(scale)).ok_or_else(bad)?;
        if (16..=1 << 20).contains(&mebibytes) {
            Ok(Self(mebibytes))
        } else {
            Err(format!("`{text}` is out of range: 16M to 1024G"))
        }
    }
}

impl TryFrom<String> for Memory {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1 << 10) { write!(f, "{}G", self.0 >> 10) } else { write!(f, "{}M", self.0) }
    }
}

/// The machine to boot on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its memory.
    pub memory: Memory,
    /// QEMU's CPU model.
    pub cpu: String,
    /// How many CPUs it has.
    pub cpus: usize,
    /// Its disk, if it has one.
    pub disk: Option<Disk>,
    /// Where the program's debug console goes, if it has one.
    pub console: Option<PathBuf>,
    /// Time is the number of instructions, at 1 GHz.
    pub icount: bool,
    /// A program without a verdict by then hangs.
    pub limit: Duration,
}

impl Machine {
    /// The usual one for a paging mode.
    pub fn of(arch: Arch) -> Self {
        Self::with_cpu(arch.cpu())
    }

    /// One with another CPU model.
    pub fn with_cpu(cpu: &str) -> Self {
        let limit = Duration::from_secs(120);
        Self { memory: Memory::of(cpu), cpu: cpu.to_owned(), cpus: 1, disk: None, console: None, icount: false, limit }
    }

    /// QEMU's CPU model. Where instructions are counted it has no fast string instructions of bytes (ERMS): each step counts as one, and words
    /// take fewer.
    fn model(&self) -> String {
        if self.icount { format!("{},-erms", self.cpu) } else { self.cpu.clone() }
    }

    /// This one with the disk that `program` wants in a paging mode.
    pub fn with_disk_of(self, program: &Program, arch: Arch) -> Self {
        Self { disk: program.disk(arch), ..self }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let icount = if self.icount { ", counting instructions" } else { "" };
        let cpus = if self.cpus == 1 { "CPU".to_owned() } else { format!("{} CPUs", self.cpus) };
        let disk = self.disk.as_ref().map_or(String::new(), |disk| format!(", {disk}"));
        write!(f, "a PC with {} and {cpus} {}{disk}{icount}", self.memory, self.model())
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program says that all is well.
    Pass,
    /// The program says that something is not.
    Failed(i32),
    /// A triple fault.
    Reset,
    /// No verdict in time.
    Hang(Duration),
    /// QEMU did not start; why.
    NoStart(String),
    /// QEMU itself died.
    Died(ExitStatus),
    /// The program is content, but its disk has something else than it says; what.
    OtherDisk(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("passed"),
            Self::Failed(status) => write!(f, "the program reported failure (QEMU's exit status is {status})"),
            Self::Reset => f.write_str("crashed: the guest reset (a triple fault)"),
            Self::Hang(limit) => write!(f, "hang: no verdict within {} s", limit.as_secs_f64()),
            Self::NoStart(why) => write!(f, "QEMU could not start: {why}"),
            Self::Died(status) => write!(f, "QEMU died: {status}"),
            Self::OtherDisk(what) => f.write_str(what),
        }
    }
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    /// All that the guest wrote to the serial port.
    pub output: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub elapsed: Duration,
}

/// What Linux is booted with, beside its kernel.
pub struct Linux<'a> {
    /// The archive with its first files.
    pub initramfs: &'a Path,
    /// Its command line.
    pub command_line: &'a str,
}

/// Boots Linux, from the kernel `image`; something in it writes the verdict, as our programs do.
pub fn run_linux(image: &Path, linux: &Linux<'_>, machine: &Machine, on_line: impl FnMut(&str)) -> Result<Run> {
    let mut qemu = command(image, machine);
    qemu.arg("-initrd").arg(linux.initramfs).args(["-append", linux.command_line]);
    // The same time of day in each run.
    qemu.args(["-rtc", "base=2000-01-01,clock=vm"]);
    finish(qemu, image, machine, on_line)
}

/// Boots `elf`, and hands over each line of the guest's output as it comes. A disk is new and empty each time: a sparse file beside `elf`.
pub fn run(elf: &Path, machine: &Machine, on_line: impl FnMut(&str)) -> Result<Run> {
    finish(command(elf, machine), elf, machine, on_line)
}

fn finish(mut qemu: Command, elf: &Path, machine: &Machine, mut on_line: impl FnMut(&str)) -> Result<Run> {
    let start = Instant::now();
    let mut output = String::new();
    let mut complaints = String::new();
    let image = elf.with_extension("img");
    if let Some(disk) = &machine.disk {
        disk.create(&image).with_context(|| format!("cannot create {}", image.display()))?;
        qemu.args(disk.arguments(&image));
    }
    let end = process::stream(&mut qemu, Some(machine.limit), |source, line| match source {
        Source::Out => {
            on_line(line);
            output.push_str(line);
            output.push('\n');
        }
        Source::Err => {
            complaints.push_str(line);
            complaints.push('\n');
        }
    })
    .with_context(|| format!("cannot run {QEMU}"))?;
    let outcome = match end {
        End::TimedOut => Outcome::Hang(machine.limit),
        End::Exited(status) => match (judge(status, &complaints), &machine.disk) {
            (Outcome::Pass, Some(disk)) => match disk.check(&image, &output) {
                Ok(()) => Outcome::Pass,
                Err(error) => Outcome::OtherDisk(format!("{error:#}")),
            },
            (outcome, _) => outcome,
        },
    };
    Ok(Run { output, outcome, elapsed: start.elapsed() })
}

fn command(elf: &Path, machine: &Machine) -> Command {
    let mut qemu = Command::new(QEMU);
    qemu.args(["-M", "pc", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
    qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    qemu.args(["-cpu", &machine.model(), "-m", &format!("{}M", machine.memory.0)]);
    if machine.memory > Memory::LARGE {
        // The host gives what the guest touches, and that is little.
        let size = machine.memory.0;
        qemu.args(["-object", &format!("memory-backend-ram,id=ram,size={size}M,reserve=off")]);
        qemu.args(["-machine", "memory-backend=ram"]);
    }
    qemu.args(["-smp", &machine.cpus.to_string()]);
    if let Some(path) = &machine.console {
        // A comma ends a path, and two are one.
        let path = path.display().to_string().replace(',', ",,");
        qemu.args(["-chardev", &format!("file,id=console,path={path}")]);
        qemu.args(["-device", "isa-debugcon,iobase=0xe9,chardev=console"]);
    }
    if machine.icount {
        qemu.args(["-accel", "tcg", "-icount", "shift=0"]);
    } else {
        qemu.args(["-accel", "tcg,thread=multi"]);
    }
    qemu.arg("-kernel").arg(elf).stderr(Stdio::piped());
    qemu
}

/// The debug device makes every exit status odd, and QEMU's own failure is 1 with a reason on stderr.
fn judge(status: ExitStatus, complaints: &str) -> Outcome {
    match (status.code(), complaint(complaints)) {
        (Some(PASSED), _) => Outcome::Pass,
        (Some(0), _) => Outcome::Reset,
        (Some(1), Some(why)) => Outcome::NoStart(why),
        (Some(code), _) => Outcome::Failed(code),
        (None, _) => Outcome::Died(status),
    }
}

/// The first line of QEMU's stderr that is not a warning, without the program's name.
fn complaint(stderr: &str) -> Option<String> {
    let line = stderr.lines().find(|line| !line.trim().is_empty() && !line.contains("warning:"))?;
    Some(line.strip_prefix(QEMU).map_or(line, |rest| rest.trim_start_matches(':')).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Controller;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn memory_sizes() {
        for (text, size) in [("6G", Memory(6144)), ("512M", Memory(512)), ("16m", Memory(16)), ("8g", Memory(8192))] {
            assert_eq!(text.parse(), Ok(size));
        }
        for bad in [
            "",
            "G",
            "6",
            "banana",
            "-1G",
            "1.5G",
            "6GB",
            "6 G",
            "0M",
            "15M",
            "99999999999999999999G",
            "18446744073709551615G",
            "2048G",
            "6\u{e9}",
        ] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
        assert_eq!(
            ["max", "pentium3", "pentium", "pentium,-pse"].map(|cpu| Memory::of(cpu).to_string()),
            ["6G", "6G", "3G", "3G"]
        );
        assert_eq!(Memory(512).to_string(), "512M");
        let disk = Disk::plain(Memory(16), Controller::Ide);
        let machine = Machine { disk: Some(disk), ..Machine::with_cpu("max") };
        assert_eq!(machine.to_string(), "a PC with 6G and CPU max, a disk of 16M on IDE");
        let machine = Machine { icount: true, ..Machine::with_cpu("max") };
        assert_eq!(machine.to_string(), "a PC with 6G and CPU max,-erms, counting instructions");
    }

    #[test]
    fn every_ending_has_its_outcome() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let trouble = "qemu-system-x86_64: warning: TCG lacks a feature\nqemu-system-x86_64: cannot set up guest memory 'pc.ram'\n";
        assert_eq!(judge(exit(33), trouble), Outcome::Pass);
        assert_eq!(judge(exit(35), ""), Outcome::Failed(35));
        assert_eq!(judge(exit(1), ""), Outcome::Failed(1));
        assert_eq!(judge(exit(0), ""), Outcome::Reset);
        assert_eq!(judge(exit(1), trouble), Outcome::NoStart("cannot set up guest memory 'pc.ram'".to_owned()));
        assert!(matches!(judge(ExitStatus::from_raw(9), ""), Outcome::Died(_)));
    }
}
