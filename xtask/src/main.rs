//! `cargo xtask`: builds highmem's bare-metal programs, boots them in QEMU and runs every check.
//!
//! One command does what would otherwise be a page of instructions: it finds a Rust toolchain that can
//! build `core`, QEMU and a linker, installs what is missing where it can, and says what it chose.

mod arch;
mod bare;
mod bench;
mod book;
mod demo;
mod disk;
mod museum;
mod new;
mod process;
mod qemu;
mod readme;
mod sabotage;
mod say;
mod setup;
mod test;
mod trace;
mod tree;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use arch::{Arch, Window};
use bare::{Build, Builder, Profile};
use sabotage::{Bugs, Which};
use setup::{Choice, Need};
use workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask doctor                        what is here, and what is missing
  cargo xtask demo                          see it work: four programs in QEMU
  cargo xtask test                          every check there is
  cargo xtask test --only fmt,clippy,unit   the quick ones
  cargo xtask qemu --list                   the bare-metal programs
  cargo xtask qemu hello_highmem --mem 8G   boot one of them
  cargo xtask demo --arch x86_64            the same on 64 bits
  cargo xtask trace irq_slots               who mapped what, when: a time line of each slot
  cargo xtask bench --exact                 what it costs, beside Linux, in instructions
  cargo xtask museum                        the pages about real bugs, anew
  cargo xtask new ../my-kernel              a kernel of your own that maps its first page
  cargo xtask book                          the documentation, for a browser";

/// Build, run and test highmem, on this machine and on bare metal in QEMU
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The toolchain for bare-metal programs
    #[arg(long, global = true, value_enum, default_value_t = Choice::Auto)]
    toolchain: Choice,
}

#[derive(Subcommand)]
enum Command {
    /// Boot the demo programs on a PC with more memory than it has addresses, and show what they report
    Demo(DemoArgs),
    /// Run the checks: all of them, or those named
    Test(TestArgs),
    /// Measure this crate, Linux and code by hand on the same machine, and write docs/performance.md
    Bench(BenchArgs),
    /// Boot one example, test or bench of package `kernel`
    Qemu(QemuArgs),
    /// Say what is installed, which toolchain builds what, and what to do about what is missing; install nothing
    Doctor,
    /// Boot a program that writes down each mapping, and draw a time line of each slot: as text, and as a page
    Trace(TraceArgs),
    /// Make the pages about real bugs (docs/museum.html, docs/museum.md) of what is in ui-tests/museum
    Museum(MuseumArgs),
    /// Make a small kernel that uses highmem, in an empty folder, to go on from
    New(NewArgs),
    /// Check the pages in docs/, and build the book of them for a browser
    Book,
}

#[derive(Args)]
struct DemoArgs {
    /// The paging mode
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
    /// Where each CPU has its slots
    #[arg(long, value_enum, default_value_t)]
    window: Window,
    /// How many CPUs: 1 to 4
    #[arg(long, default_value = "1", value_name = "CPUS", value_parser = clap::value_parser!(u8).range(1..=4))]
    smp: u8,
}

#[derive(Args)]
struct TestArgs {
    /// Only these steps, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP")]
    only: Vec<test::Step>,
    /// Have each bug on purpose be caught by each test that is there for it, not by the first alone
    #[arg(long)]
    every_catcher: bool,
    /// Only these bugs on purpose, by their names in kernel/tests/sabotage.toml, separated by commas; and no other step
    #[arg(long, value_delimiter = ',', value_name = "NAME", conflicts_with = "only")]
    bug: Vec<String>,
    /// Show all that the programs print, and not of those alone in which something fails
    #[arg(long, short)]
    verbose: bool,
    /// List the steps and leave
    #[arg(long)]
    list: bool,
}

#[derive(Args)]
struct BenchArgs {
    /// Only what is counted, and not what is timed: print it, and write nothing
    #[arg(long, conflicts_with = "boots")]
    exact: bool,
    /// How often each kernel is booted for the times: 5 or more
    #[arg(long, default_value = "5", value_name = "BOOTS", value_parser = clap::value_parser!(u8).range(5..=100))]
    boots: u8,
}

#[derive(Args)]
struct QemuArgs {
    /// The program to boot
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// The paging mode
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
    /// Where each CPU has its slots
    #[arg(long, value_enum, default_value_t)]
    window: Window,
    /// The machine's memory [default: 6G, or 3G with CPU pentium]
    #[arg(long, value_name = "SIZE")]
    mem: Option<qemu::Memory>,
    /// Count instructions instead of time: exact, the same in every run, and slower
    #[arg(long)]
    icount: bool,
    /// QEMU's CPU model [default: pentium without PAE, max with PAE, max,la57=off with 64 bits]
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,
    /// How many CPUs: 1 to 4
    #[arg(long, default_value = "1", value_name = "CPUS", value_parser = clap::value_parser!(u8).range(1..=4))]
    smp: u8,
    /// Seconds until a program without a verdict is killed
    #[arg(long, default_value = "120", value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    timeout: Duration,
    /// Build with the dev profile: debug assertions and overflow checks on
    #[arg(long)]
    debug: bool,
    /// List the programs and leave
    #[arg(long)]
    list: bool,
}

#[derive(Args)]
struct NewArgs {
    /// The kernel's folder: one that is empty, or does not exist
    dir: PathBuf,
    /// The name of its package [default: that of the folder]
    #[arg(long)]
    name: Option<String>,
    /// Where the highmem is that it uses [default: here]
    #[arg(long, value_name = "DIR")]
    path_of_crate: Option<PathBuf>,
}

#[derive(Args)]
struct TraceArgs {
    /// The program to boot
    name: String,
    /// The paging mode
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
    /// Where each CPU has its slots
    #[arg(long, value_enum, default_value_t)]
    window: Window,
    /// Count instructions instead of time, a nanosecond each: the same in every run
    #[arg(long)]
    icount: bool,
    /// How many CPUs: 1 to 4
    #[arg(long, default_value = "1", value_name = "CPUS", value_parser = clap::value_parser!(u8).range(1..=4))]
    smp: u8,
    /// Seconds until a program without a verdict is killed
    #[arg(long, default_value = "300", value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    timeout: Duration,
    /// Show what comes from this time on, such as 250us or 1.5ms [default: from the first mapping on]
    #[arg(long, value_name = "TIME", value_parser = trace::parse_time)]
    from: Option<u64>,
    /// Show so much time [default: as much as there is room for]
    #[arg(long = "for", value_name = "TIME", value_parser = trace::parse_time)]
    length: Option<u64>,
    /// How many mappings to print: the page has more
    #[arg(long, default_value = "30", value_name = "COUNT")]
    lines: usize,
    /// Write the picture alone to this file, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Args)]
struct MuseumArgs {
    /// Write nothing: look whether the pages are up to date
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let verdict = match cli.command {
        Command::Demo(args) => demo::run(Build::release(args.arch, args.window), args.smp.into(), cli.toolchain),
        Command::Test(args) if args.list => test::list(),
        Command::Test(args) => {
            let only = if args.bug.is_empty() { args.only } else { vec![test::Step::Sabotage] };
            let which = if args.every_catcher { Which::All } else { Which::First };
            test::run(&only, cli.toolchain, &Bugs { names: args.bug, which }, args.verbose)
        }
        Command::Bench(args) => bench::run((!args.exact).then_some(args.boots.into()), cli.toolchain),
        Command::Qemu(args) if args.list => list_programs(),
        Command::Qemu(args) => boot(&args, cli.toolchain),
        Command::Doctor => setup::doctor(cli.toolchain),
        Command::Trace(args) => trace(args, cli.toolchain),
        Command::Museum(args) => museum::run(args.check),
        Command::New(args) => new::run(&args.dir, args.name.as_deref(), args.path_of_crate.as_deref(), cli.toolchain),
        Command::Book => book::run(),
    };
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn list_programs() -> Result<bool> {
    for line in Workspace::open()?.programs()?.by_kind() {
        say::line(&line);
    }
    Ok(true)
}

fn boot(args: &QemuArgs, choice: Choice) -> Result<bool> {
    let workspace = Workspace::open()?;
    let programs = workspace.programs()?;
    let program = programs.find(args.name.as_deref().unwrap_or_default())?;
    program.check(args.arch)?;
    let toolchain = setup::prepare(choice, Need::Boot)?;
    let mut build = Build::of(program.kind, args.arch, args.window);
    if args.debug {
        build.profile = Profile::Dev;
    }
    let built = Builder::new(&workspace, &toolchain).build(&[program], build)?;
    let Some(elf) = built.get(&program.name) else {
        bail!("{} does not build", program.name);
    };
    say::note(&format!("program    {}", elf.display()));
    let cpu = args.cpu.as_deref().unwrap_or(args.arch.cpu()).to_owned();
    let memory = args.mem.unwrap_or(qemu::Memory::of(&cpu));
    let (cpus, icount, limit) = (args.smp.into(), args.icount, args.timeout);
    let machine = qemu::Machine { memory, cpu, cpus, disk: program.disk(args.arch), console: None, icount, limit };
    say::heading(&format!("Booting {} ({}{}) on {machine}", program.name, args.arch, args.window.remark()));
    let run = qemu::run(elf, &machine, say::guest)?;
    match run.outcome {
        qemu::Outcome::Pass => {
            say::pass(&format!("{} ({:.1} s)", program.name, run.elapsed.as_secs_f64()));
            Ok(true)
        }
        outcome => bail!("{}: {outcome}", program.name),
    }
}

fn trace(args: TraceArgs, choice: Choice) -> Result<bool> {
    let TraceArgs { name, arch, window, icount, smp, timeout: limit, from, length, lines, svg } = args;
    let machine = qemu::Machine { cpus: smp.into(), icount, limit, ..qemu::Machine::of(arch) };
    trace::run(&trace::Wanted { name, arch, window, machine, from, length, lines, svg }, choice)
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| "a number of seconds above 0, such as 30 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "-1", "inf", "NaN", "1e30", "soon"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
