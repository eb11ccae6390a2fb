//! The steps that boot test programs and benchmarks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::lines::Budget;
use super::reach;
use super::{Bare, Ledger};
use crate::arch::{Arch, Window};
use crate::bare::{Build, Profile};
use crate::bench;
use crate::qemu::{self, Machine, Memory, Outcome};
use crate::say;
use crate::workspace::{Kind, Program};

/// A row of a matrix: some programs on one machine.
#[derive(Clone, Copy)]
struct Row {
    build: Build,
    cpu: &'static str,
    cpus: usize,
    /// The memory, if not the usual one for the CPU.
    memory: Option<Memory>,
    /// Which programs; none stands for all.
    only: &'static [&'static str],
    /// But for these.
    except: &'static [&'static str],
}

impl Row {
    /// All test programs, in their usual build.
    const fn tests(arch: Arch, cpu: &'static str, cpus: usize) -> Self {
        let build = Build::of(Kind::Test, arch, Window::Shared);
        Self { build, cpu, cpus, memory: None, only: &[], except: &[] }
    }

    /// All examples, in their usual build.
    const fn examples(arch: Arch, cpu: &'static str, cpus: usize) -> Self {
        Self { build: Build::of(Kind::Example, arch, Window::Shared), ..Self::tests(arch, cpu, cpus) }
    }

    /// In the profile with debug assertions.
    const fn dev(self) -> Self {
        Self { build: Build { profile: Profile::Dev, ..self.build }, ..self }
    }

    /// Each CPU with its slots at the same addresses.
    const fn cpu_window(self) -> Self {
        Self { build: Build { window: Window::Cpu, ..self.build }, ..self }
    }

    const fn with(self, memory: Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    const fn only(self, programs: &'static [&'static str]) -> Self {
        Self { only: programs, ..self }
    }

    const fn except(self, programs: &'static [&'static str]) -> Self {
        Self { except: programs, ..self }
    }

    fn machine(&self) -> Machine {
        let usual = Machine::with_cpu(self.cpu);
        Machine { cpus: self.cpus, memory: self.memory.unwrap_or(usual.memory), ..usual }
    }

    fn label(&self, program: &Program) -> String {
        let cpus = if self.cpus == 1 { String::new() } else { format!(", {} CPUs", self.cpus) };
        let memory = self.memory.map_or(String::new(), |memory| format!(", {memory}"));
        format!("{} [{}, {}{cpus}{memory}]", program.name, self.build, self.cpu)
    }

    fn wants(&self, program: &Program) -> bool {
        let name = program.name.as_str();
        let is_named = (self.only.is_empty() || self.only.contains(&name)) && !self.except.contains(&name);
        is_named && program.is_for(self.build.arch)
    }
}

/// What differs with the layout of the window.
const OF_THE_WINDOW: &[&str] = &[
    "boot",
    "atomic",
    "atomic_debug",
    "debug",
    "lies",
    "lies_debug",
    "threads",
    "threads_debug",
    "pool_small",
    "local",
    "user",
    "pagetable",
];

/// What is the same whatever features a CPU has besides its paging mode: the scheduler, what only maps and copies, and the drivers of disks.
const OF_THE_MODE: &[&str] = &[
    "threads",
    "threads_debug",
    "pool",
    "pool_debug",
    "pool_small",
    "local",
    "local_debug",
    "ops_debug",
    "runs",
    "pipes",
    "user_debug",
    "pagetable_debug",
    "disk",
    "virtio",
    "bounce",
];

/// What does not depend on how many levels of page tables there are either: the same, but for what fills or walks them.
const OF_ALL_LEVELS: &[&str] = &[
    "threads",
    "threads_debug",
    "pool_debug",
    "pool_small",
    "local_debug",
    "ops_debug",
    "runs",
    "pipes",
    "disk",
    "virtio",
    "bounce",
];

/// On what the test programs run: per paging mode all features, and the CPUs that lack one (PAE and `cmov`; NX; more than 36 address
/// bits; LA57); each mode on one CPU and on four, with the checks of the feature `debug` and without (these are other programs), and
/// with both layouts of the window; and with memory beyond the 64 GiB of the first processors with PAE.
const MATRIX: &[Row] = &[
    Row::tests(Arch::NonPae, "pentium", 1),
    Row::tests(Arch::NonPae, "pentium", 4),
    Row::tests(Arch::NonPae, "max", 1).except(OF_THE_MODE),
    Row::tests(Arch::NonPae, "pentium", 4).cpu_window().only(OF_THE_WINDOW),
    Row::tests(Arch::Pae, "max", 1),
    Row::tests(Arch::Pae, "max", 4),
    Row::tests(Arch::Pae, "pentium3", 1).except(OF_THE_MODE),
    Row::tests(Arch::Pae, "qemu32,+pse36", 1).except(OF_THE_MODE),
    // Whose fast strings of bytes are taken at their word.
    Row::tests(Arch::Pae, "max,-hypervisor", 1).only(&["ops", "user"]),
    Row::tests(Arch::Pae, "max", 1).dev(),
    Row::tests(Arch::Pae, "max", 1).with(Memory::SEVENTY_GIB).only(&["boot", "atomic"]),
    Row::tests(Arch::Pae, "max", 4).cpu_window().only(OF_THE_WINDOW),
    Row::tests(Arch::X86_64, "max,la57=off", 1),
    Row::tests(Arch::X86_64, "max,la57=off", 4),
    Row::tests(Arch::X86_64, "max", 1).except(OF_ALL_LEVELS),
    Row::tests(Arch::X86_64, "max", 4).except(OF_ALL_LEVELS),
    Row::tests(Arch::X86_64, "max", 1).dev(),
    Row::tests(Arch::X86_64, "max,la57=off", 4).cpu_window().only(OF_THE_WINDOW),
    Row::tests(Arch::X86_64, "max", 4).cpu_window().only(OF_THE_WINDOW),
];

/// Those of the examples that tell the layouts of the window apart.
const OF_ALL_CPUS: &[&str] = &["smp_stress", "kmap_shootdown", "local_switch", "cow_fork", "highpte"];

/// Those that take long, and for which the number of levels does not matter.
const LONG: &[&str] = &["bounce_swap", "local_switch"];

/// On what the examples run.
const EXAMPLE_MATRIX: &[Row] = &[
    Row::examples(Arch::NonPae, "pentium", 1).except(LONG),
    Row::examples(Arch::NonPae, "pentium", 4),
    Row::examples(Arch::NonPae, "pentium", 4).cpu_window().only(OF_ALL_CPUS),
    Row::examples(Arch::Pae, "max", 1),
    Row::examples(Arch::Pae, "max", 4),
    Row::examples(Arch::Pae, "max", 4).cpu_window().only(OF_ALL_CPUS),
    Row::examples(Arch::X86_64, "max,la57=off", 1).except(LONG),
    Row::examples(Arch::X86_64, "max,la57=off", 4),
    Row::examples(Arch::X86_64, "max", 1).except(LONG),
    Row::examples(Arch::X86_64, "max", 4).except(LONG),
    Row::examples(Arch::X86_64, "max,la57=off", 4).cpu_window().only(OF_ALL_CPUS),
    Row::examples(Arch::X86_64, "max", 4).cpu_window().only(OF_ALL_CPUS).except(LONG),
];

/// The benchmark that is not measured but looked at.
const HOT_PATH: &str = "hot_path";

/// Boots every test program on every machine of the matrix.
pub fn tests(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let programs = bare.programs.of(Kind::Test);
    if programs.is_empty() {
        bail!("package kernel has no test program");
    }
    boot_all(bare, ledger, &programs, MATRIX)
}

/// Boots every example on every machine of a smaller matrix.
pub fn examples(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let programs = bare.programs.of(Kind::Example);
    if programs.is_empty() {
        bail!("package kernel has no example");
    }
    boot_all(bare, ledger, &programs, EXAMPLE_MATRIX)
}

fn boot_all(bare: &Bare, ledger: &mut Ledger, programs: &[&Program], matrix: &[Row]) -> Result<()> {
    for name in matrix.iter().flat_map(|row| row.only.iter().chain(row.except)) {
        ensure!(
            programs.iter().any(|program| program.name == *name),
            "the matrix names `{name}`, which does not exist"
        );
    }
    let mut builds: BTreeMap<Build, Vec<&Row>> = BTreeMap::new();
    for row in matrix {
        builds.entry(row.build).or_default().push(row);
    }
    for (build, rows) in builds {
        let wanted = |program: &&Program| rows.iter().any(|row| row.wants(program));
        let wanted: Vec<&Program> = programs.iter().copied().filter(wanted).collect();
        let built = bare.builder().build(&wanted, build)?;
        for row in rows {
            for program in wanted.iter().filter(|program| row.wants(program)) {
                let label = row.label(program);
                match built.get(&program.name) {
                    Some(elf) => boot(ledger, &label, elf, &row.machine().with_disk_of(program, build.arch))?,
                    None => ledger.fail(&format!("{label}: does not build")),
                }
            }
        }
    }
    Ok(())
}

/// Boots one program and counts the tests that it reports; one that reports none counts as one.
pub fn boot(ledger: &mut Ledger, label: &str, elf: &Path, machine: &Machine) -> Result<()> {
    let (all_before, failed_before) = ledger.counts();
    let run = qemu::run(elf, machine, |line| ledger.hear(label, line))?;
    let (all, failed) = ledger.counts();
    ledger.ended(run.outcome != Outcome::Pass || failed > failed_before);
    let time = say::seconds(run.elapsed);
    match run.outcome {
        Outcome::Pass if failed > failed_before => say::fail(&format!("{label}: {time}")),
        Outcome::Pass if all > all_before => say::pass(&format!("{label}: {} tests, {time}", all - all_before)),
        Outcome::Pass => ledger.pass(&format!("{label}: {time}")),
        Outcome::Failed(_) if failed > failed_before => say::fail(&format!("{label}: {time}")),
        outcome => ledger.fail(&format!("{label}: {outcome}")),
    }
    Ok(())
}

/// Runs the benchmarks twice in each paging mode and layout of the window, counting instructions.
pub fn cost(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let programs = bare.programs.of(Kind::Bench);
    if programs.is_empty() {
        bail!("package kernel has no benchmark");
    }
    for arch in Arch::ALL {
        for window in Window::ALL {
            cost_of(bare, ledger, &programs, Build::release(arch, window))?;
        }
    }
    Ok(())
}

fn cost_of(bare: &Bare, ledger: &mut Ledger, programs: &[&Program], build: Build) -> Result<()> {
    let is_wanted = |program: &&Program| program.is_for(build.arch) && !bench::ALL.contains(&program.name.as_str());
    let programs: Vec<&Program> = programs.iter().copied().filter(is_wanted).collect();
    let built = bare.builder().build(&programs, build)?;
    let machine = Machine { icount: true, limit: Duration::from_secs(300), ..Machine::of(build.arch) };
    for program in programs {
        let machine = machine.clone().with_disk_of(program, build.arch);
        let name = &format!("{} [{}{}]", program.name, build.arch, build.window.remark());
        let Some(elf) = built.get(&program.name) else {
            ledger.fail(&format!("{name}: does not build"));
            continue;
        };
        if program.name == HOT_PATH {
            hot_path(ledger, name, elf)?;
            continue;
        }
        say::note(&format!("{name} on {machine}, twice"));
        let first = qemu::run(elf, &machine, say::guest)?;
        let second = qemu::run(elf, &machine, |_| ())?;
        if let Some(outcome) =
            [&first, &second].map(|run| &run.outcome).into_iter().find(|outcome| **outcome != Outcome::Pass)
        {
            ledger.fail(&format!("{name}: {outcome}"));
            continue;
        }
        match first_difference(&first.output, &second.output) {
            None => ledger.pass(&format!("{name}: both runs say the same")),
            Some((one, other)) => ledger.fail(&format!("{name}: the runs differ: `{one}`, then `{other}`")),
        }
        for budget in first.output.lines().filter_map(Budget::parse) {
            ledger.budget(name, &budget);
        }
    }
    Ok(())
}

/// Looks for panics, and for any other call, in the code of the hot path.
fn hot_path(ledger: &mut Ledger, name: &str, elf: &Path) -> Result<()> {
    let probes = reach::probes(elf)?;
    if probes.is_empty() {
        bail!("{name}: there is no function to look at");
    }
    for probe in probes {
        let reached: Vec<String> = probe.reached.into_iter().collect();
        let what = format!("{name}: {} reaches {}", probe.name, reached.join(", "));
        if probe.right { ledger.pass(&what) } else { ledger.fail(&what) }
    }
    Ok(())
}

fn first_difference<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let mut lines = (one.lines(), other.lines());
    loop {
        match (lines.0.next(), lines.1.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((one.unwrap_or_default(), other.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(("b", "c")));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(("", "b")));
    }
}
