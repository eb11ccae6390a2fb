//! `cargo xtask bench`: what the crate costs, beside Linux and beside code written by hand, on the same emulated processor.
//!
//! Where instructions are counted, each program runs twice, and both runs must say the same to the digit. Where time is taken, both kernels
//! are booted in turn, so that what else the host does hits both.

mod figures;
mod growth;
mod linux;
mod plot;
mod report;
mod rows;
mod timed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::arch::{Arch, Window};
use crate::bare::{Build, Builder};
use crate::qemu::{self, Machine, Outcome};
use crate::say;
use crate::setup::{self, Choice, Need};
use crate::workspace::{Program, Workspace};
use figures::Figures;
use growth::{Growth, Series};
use linux::Kernel;
use report::{Counted, Exact, Host};
use timed::Times;

/// The program that measures, and the one that counts what it asks of the processor.
const PROGRAMS: [&str; 2] = ["versus", "versus_counts"];

/// The program that shows how costs grow.
const GROWTH: &str = "growth";

/// The programs of this command, which have no limits of their own.
pub const ALL: [&str; 3] = [PROGRAMS[0], PROGRAMS[1], GROWTH];

/// The processor on which Linux and our kernel with PAE are compared.
const CPU: &str = "max";

/// Measures everything; `boots` is how often for the times, if they are wanted. `true`: all went well.
///
/// # Errors
///
/// If something is missing, or two runs that have to say the same do not.
pub fn run(boots: Option<usize>, choice: Choice) -> Result<bool> {
    let workspace = Workspace::open()?;
    let known = workspace.programs()?;
    let programs = PROGRAMS.map(|name| known.find(name)).into_iter().collect::<Result<Vec<_>>>()?;
    let toolchain = setup::prepare(choice, Need::Boot)?;
    let kernel = Kernel::prepare(&workspace)?;
    let builder = Builder::new(&workspace, &toolchain);
    let kept = workspace.target.join("bench");
    fs::create_dir_all(&kept)?;

    let machine = Machine { icount: true, limit: Duration::from_secs(1200), ..Machine::with_cpu(CPU) };
    say::heading(&format!("Linux {} on {machine}, twice", kernel.release));
    let (linux, _) = kernel.measure(&machine, "rounds=10000 steps=1")?;
    let (again, _) = kernel.measure(&machine, "rounds=10000 steps=1")?;
    same("Linux", &linux, &again)?;

    let mut ours = BTreeMap::new();
    let mut elfs = BTreeMap::new();
    for arch in Arch::ALL {
        for window in Window::ALL {
            let build = Build::release(arch, window);
            say::heading(&format!("Our kernel ({arch}{}), twice", window.remark()));
            let copies = build_and_keep(&builder, &programs, build, &kept)?;
            let machine = Machine { icount: true, limit: machine.limit, ..Machine::of(arch) };
            let mut all = Vec::new();
            for name in PROGRAMS {
                let elf = &copies[name];
                let first = boot(elf, &machine)?;
                same(name, &first, &boot(elf, &machine)?)?;
                all.push(first);
            }
            ours.insert((arch, window), Exact { times: all.remove(0), counts: all.remove(0) });
            elfs.insert((arch, window), copies);
        }
    }
    let counted = Counted { linux, ours };
    let series = grow(&builder, known.find(GROWTH)?, &kept, &machine)?;
    for table in rows::exact_tables(&counted)?.iter().chain(&growth::tables(&series)) {
        table.print();
    }
    for series in &series {
        series.check()?;
    }
    if let Some(boots) = boots {
        let elf = &elfs[&(Arch::Pae, Window::Shared)][PROGRAMS[0]];
        let (root, host) = (&workspace.root, Host::look(&toolchain, &kernel));
        // The times take long: what is known by then is not lost if they fail.
        report::write(root, &host, &counted, None, &series)?;
        let times = Times::take(&kernel, elf, boots)?.table()?;
        times.print();
        report::write(root, &host, &counted, Some(&times), &series)?;
    }
    Ok(true)
}

/// How costs grow, with and without PAE, and on more and more CPUs: each twice.
fn grow(builder: &Builder<'_>, program: &Program, kept: &Path, machine: &Machine) -> Result<Vec<Series>> {
    let measure = |arch: Arch, cpus: &[usize]| -> Result<Vec<Figures>> {
        let elf = build_and_keep(builder, &[program], Build::release(arch, Window::Shared), kept)?.remove(GROWTH);
        let elf = elf.context("the program is not there")?;
        let twice = |&cpus: &usize| {
            let machine = Machine { cpus, icount: true, limit: machine.limit, ..Machine::of(arch) };
            say::heading(&format!("{GROWTH} ({arch}) on {machine}, twice"));
            let first = boot(&elf, &machine)?;
            same(GROWTH, &first, &boot(&elf, &machine)?)?;
            Ok(first)
        };
        cpus.iter().map(twice).collect()
    };
    let non_pae = measure(Arch::NonPae, &[1])?.remove(0);
    let cpus = measure(Arch::Pae, &[1, 2, 3, 4])?;
    Growth { pae: cpus[0].clone(), non_pae, cpus }.series()
}

/// Builds the programs, and keeps them where the next build does not replace them.
fn build_and_keep(
    builder: &Builder<'_>,
    programs: &[&Program],
    build: Build,
    kept: &Path,
) -> Result<BTreeMap<String, PathBuf>> {
    let built = builder.build(programs, build)?;
    let mut copies = BTreeMap::new();
    for program in programs {
        let elf = built.get(&program.name).with_context(|| format!("{} does not build", program.name))?;
        let window = build.window.remark().trim_start_matches(", ").replace(' ', "-");
        let copy = kept.join(format!("{}-{}{window}", program.name, build.arch));
        fs::copy(elf, &copy)?;
        copies.insert(program.name.clone(), copy);
    }
    Ok(copies)
}

/// Boots one of our programs, and reads what it says.
fn boot(elf: &Path, machine: &Machine) -> Result<Figures> {
    let run = qemu::run(elf, machine, say::guest)?;
    match run.outcome {
        Outcome::Pass => Figures::parse(&run.output),
        outcome => bail!("{}: {outcome}", elf.display()),
    }
}

/// Two runs have to agree to the digit.
fn same(what: &str, one: &Figures, other: &Figures) -> Result<()> {
    match one.first_difference(other) {
        None => {
            say::pass(&format!("{what}: both runs say the same"));
            Ok(())
        }
        Some(difference) => bail!("{what}: the two runs differ: {difference}"),
    }
}
