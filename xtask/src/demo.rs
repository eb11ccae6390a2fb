//! `cargo xtask demo`: the shortest way to see the crate at work.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bare::{Build, Builder};
use crate::qemu::{self, Machine, Outcome};
use crate::say;
use crate::setup::{self, Choice, Need};
use crate::workspace::{Kind, Workspace};

/// What the demo boots, in this order.
pub const PROGRAMS: [&str; 4] = ["hello_highmem", "copy_highpage", "irq_slots", "token_tour"];

/// Builds and boots the demo. `true`: every program passed.
pub fn run(build: Build, cpus: usize, choice: Choice) -> Result<bool> {
    let workspace = Workspace::open()?;
    let known = workspace.programs()?;
    let examples = known.of(Kind::Example);
    let program = |name: &str| examples.iter().copied().find(|program| program.name == name);
    let programs = PROGRAMS
        .iter()
        .map(|name| {
            program(name).with_context(|| format!("the demo needs an example called `{name}`; there are {known}"))
        })
        .collect::<Result<Vec<_>>>()?;
    let toolchain = setup::prepare(choice, Need::Boot)?;
    say::heading("Build");
    let built = Builder::new(&workspace, &toolchain).build(&programs, build)?;

    let machine = Machine { cpus, ..Machine::of(build.arch) };
    let mut rows = Vec::new();
    let mut all_passed = true;
    for program in programs {
        say::heading(&format!("{} ({}{}) on {machine}", program.name, build.arch, build.window.remark()));
        let (result, elapsed) = match built.get(&program.name) {
            None => ("does not build".to_owned(), Duration::ZERO),
            Some(elf) => {
                let run = qemu::run(elf, &machine.clone().with_disk_of(program, build.arch), say::guest)?;
                all_passed &= run.outcome == Outcome::Pass;
                (run.outcome.to_string(), run.elapsed)
            }
        };
        all_passed &= built.contains_key(&program.name);
        rows.push(vec![program.name.clone(), result, say::seconds(elapsed)]);
    }
    say::table(&["example", "result", "time"], &rows);
    say::verdict(all_passed, if all_passed { "demo: PASS" } else { "demo: FAIL" });
    Ok(all_passed)
}
