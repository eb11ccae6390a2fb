//! The steps that boot test programs and benchmarks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::lines::Budget;
use super::{Bare, Ledger};
use crate::bare::{Built, Profile};
use crate::qemu::{self, Machine, Outcome};
use crate::say;
use crate::workspace::Kind;

/// On what the test programs run: all features; no NX; 64-bit without the newest; 32 address bits.
const MATRIX: [(Profile, &str); 5] = [
    (Profile::Release, "max"),
    (Profile::Release, "pentium3"),
    (Profile::Release, "qemu64"),
    (Profile::Release, "qemu32,+pse36"),
    (Profile::Dev, "max"),
];

/// Boots every test program on every machine of the matrix.
pub fn tests(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let programs = bare.programs.of(Kind::Test);
    if programs.is_empty() {
        bail!("package kernel has no test program");
    }
    let builder = bare.builder();
    let mut built: BTreeMap<&str, Built> = BTreeMap::new();
    for profile in [Profile::Release, Profile::Dev] {
        built.insert(profile.name(), builder.build(&programs, profile)?);
    }
    for (profile, cpu) in MATRIX {
        for program in &programs {
            let label = format!("{} [{}, {cpu}]", program.name, profile.name());
            match built[profile.name()].get(&program.name) {
                Some(elf) => boot(ledger, &label, elf, &Machine { cpu: cpu.to_owned(), ..Machine::default() })?,
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

/// Runs the benchmarks twice, counting instructions.
pub fn cost(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let programs = bare.programs.of(Kind::Bench);
    if programs.is_empty() {
        bail!("package kernel has no benchmark");
    }
    let built = bare.builder().build(&programs, Profile::Release)?;
    let machine = Machine { icount: true, limit: Duration::from_secs(300), ..Machine::default() };
    for program in programs {
        let name = &program.name;
        let Some(elf) = built.get(name) else {
            ledger.fail(&format!("{name}: does not build"));
            continue;
        };
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
