//! The steps that boot test programs and benchmarks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::lines::Budget;
use super::reach;
use super::{Bare, Ledger};
use crate::arch::Arch;
use crate::bare::{Built, Profile};
use crate::qemu::{self, Machine, Outcome};
use crate::say;
use crate::workspace::{Kind, Program};

/// On what the test programs run: per paging mode all features, and the CPUs that lack one (PAE and `cmov`; NX; the newest; more
/// than 36 address bits; LA57); each mode on one CPU and on four.
const MATRIX: [(Arch, Profile, &str, usize); 15] = [
    (Arch::NonPae, Profile::Release, "pentium", 1),
    (Arch::NonPae, Profile::Release, "pentium", 4),
    (Arch::NonPae, Profile::Release, "max", 1),
    (Arch::Pae, Profile::Release, "max", 1),
    (Arch::Pae, Profile::Release, "max", 4),
    (Arch::Pae, Profile::Release, "pentium3", 1),
    (Arch::Pae, Profile::Release, "qemu64", 1),
    (Arch::Pae, Profile::Release, "qemu32,+pse36", 1),
    (Arch::Pae, Profile::Dev, "max", 1),
    (Arch::X86_64, Profile::Release, "max,la57=off", 1),
    (Arch::X86_64, Profile::Release, "max,la57=off", 4),
    (Arch::X86_64, Profile::Release, "max", 1),
    (Arch::X86_64, Profile::Release, "max", 4),
    (Arch::X86_64, Profile::Release, "qemu64", 1),
    (Arch::X86_64, Profile::Dev, "max", 1),
];

/// On what the examples run.
const EXAMPLE_MATRIX: [(Arch, Profile, &str, usize); 8] = [
    (Arch::NonPae, Profile::Release, "pentium", 1),
    (Arch::NonPae, Profile::Release, "pentium", 4),
    (Arch::Pae, Profile::Release, "max", 1),
    (Arch::Pae, Profile::Release, "max", 4),
    (Arch::X86_64, Profile::Release, "max,la57=off", 1),
    (Arch::X86_64, Profile::Release, "max,la57=off", 4),
    (Arch::X86_64, Profile::Release, "max", 1),
    (Arch::X86_64, Profile::Release, "max", 4),
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

fn boot_all(
    bare: &Bare,
    ledger: &mut Ledger,
    programs: &[&Program],
    matrix: impl IntoIterator<Item = (Arch, Profile, &'static str, usize)>,
) -> Result<()> {
    let builder = bare.builder();
    let mut built: BTreeMap<(Arch, Profile), Built> = BTreeMap::new();
    for (arch, profile, cpu, cpus) in matrix {
        let built = match built.entry((arch, profile)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(builder.build(programs, arch, profile)?),
        };
        for program in programs {
            let number = if cpus == 1 { String::new() } else { format!(", {cpus} CPUs") };
            let label = format!("{} [{arch}, {}, {cpu}{number}]", program.name, profile.name());
            let machine = Machine { cpus, ..Machine::with_cpu(cpu) };
            match built.get(&program.name) {
                Some(elf) => boot(ledger, &label, elf, &machine)?,
                None => ledger.fail(&format!("{label}: does not build")),
            }
        }
    }
    Ok(())
}

/// Boots one program and counts the tests that it reports; one that reports none counts as one.
pub fn boot(ledger: &mut Ledger, label: &str, elf: &Path, machine: &Machine) -> Result<()> {
    say::note(label);
    let (all_before, failed_before) = ledger.counts();
    let run = qemu::run(elf, machine, |line| {
        say::guest(line);
        ledger.count(label, line);
    })?;
    let (all, failed) = ledger.counts();
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

/// Runs the benchmarks twice in each paging mode, counting instructions.
pub fn cost(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let programs = bare.programs.of(Kind::Bench);
    if programs.is_empty() {
        bail!("package kernel has no benchmark");
    }
    for arch in Arch::ALL {
        cost_of(bare, ledger, &programs, arch)?;
    }
    Ok(())
}

fn cost_of(bare: &Bare, ledger: &mut Ledger, programs: &[&Program], arch: Arch) -> Result<()> {
    let built = bare.builder().build(programs, arch, Profile::Release)?;
    let machine = Machine { icount: true, limit: Duration::from_secs(300), ..Machine::of(arch) };
    for program in programs {
        let name = &format!("{} [{arch}]", program.name);
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
            let what = format!("{name}: {} measured {}, limit {}", budget.name, budget.measured, budget.limit);
            if budget.measured <= budget.limit { ledger.pass(&what) } else { ledger.fail(&what) }
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
