//! `cargo xtask test`: every check of this repository, in steps that can be run alone.

mod bench;
mod callgrind;
mod examples;
mod guest;
mod host;
mod ledger;
pub mod lines;
mod package;
mod reach;
mod template;
mod ui;

use anyhow::Result;
use clap::ValueEnum;

use crate::bare::Builder;
use crate::museum;
use crate::sabotage::{self, Bugs};
use crate::say;
use crate::setup::{self, Choice, Need, Toolchain};
use crate::workspace::{Programs, Workspace};
pub use host::{ORDERS, UNOPTIMISED};
pub use ledger::Ledger;

/// A step of the tests. The order is that of a run: the quick ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// The source is formatted
    Fmt,
    /// The pages about real bugs are those that are made of the programs
    Museum,
    /// The book builds, and its links, code, messages and commands are what they say
    Book,
    /// Clippy has nothing to say, on the host and for the bare machine
    Clippy,
    /// The documentation builds without warnings
    Doc,
    /// What is published is complete and has nothing else in it, compiles with the oldest Rust and for other targets, and its dependencies are listed
    Package,
    /// Unit, integration and documentation tests on the host; the pool in many orders
    Unit,
    /// What must not compile does not, with the recorded messages
    Ui,
    /// The test programs pass on bare metal, on several CPUs and in both profiles
    Qemu,
    /// The examples pass on bare metal, and mistakes in calling them end in clear errors
    Examples,
    /// The kernel that `cargo xtask new` makes builds, boots and passes its tests; with bugs on purpose, it does not
    Template,
    /// The benchmarks stay within their budgets, on the host and on bare metal, exactly the same in two runs; the hot path reaches no panic
    Cost,
    /// Linux, our maps and maps by hand can be compared, with the same figures in two runs; the benchmarks on the host run
    Bench,
    /// Each deliberate bug is caught by the test that is there to catch it
    Sabotage,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn description(self) -> String {
        self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    fn need(self) -> Option<Need> {
        match self {
            Self::Fmt | Self::Museum | Self::Book | Self::Unit | Self::Ui => None,
            Self::Clippy | Self::Doc | Self::Package => Some(Need::Build),
            Self::Qemu | Self::Examples | Self::Template | Self::Cost | Self::Bench | Self::Sabotage => {
                Some(Need::Boot)
            }
        }
    }
}

/// What the steps on the bare machine work with.
pub struct Bare<'a> {
    /// The workspace to test.
    pub workspace: &'a Workspace,
    /// Its bare-metal programs.
    pub programs: &'a Programs,
    /// Compiles them.
    pub toolchain: &'a Toolchain,
    /// What the user asked for, to be handed on.
    pub choice: Choice,
}

impl Bare<'_> {
    /// Builds into the workspace's own target directory.
    pub fn builder(&self) -> Builder<'_> {
        Builder::new(self.workspace, self.toolchain)
    }
}

/// Prints the steps.
pub fn list() -> Result<bool> {
    for step in Step::value_variants() {
        say::line(&format!("{:<9} {}", step.name(), step.description()));
    }
    Ok(true)
}

/// Runs the steps in `only`, or all, with these bugs on purpose. `verbose`: with all that the programs print. `true`: nothing failed.
pub fn run(only: &[Step], choice: Choice, bugs: &Bugs, verbose: bool) -> Result<bool> {
    let workspace = Workspace::open()?;
    bugs.check(&workspace.root)?;
    let programs = workspace.programs()?;
    let chosen: Vec<Step> =
        Step::value_variants().iter().copied().filter(|step| only.is_empty() || only.contains(step)).collect();
    let need = chosen.iter().filter_map(|step| step.need()).max();
    let toolchain = need.map(|need| setup::prepare(choice, need)).transpose()?;
    let bare =
        toolchain.as_ref().map(|toolchain| Bare { workspace: &workspace, programs: &programs, toolchain, choice });

    let mut ledger = Ledger::new(verbose);
    for step in chosen {
        ledger.begin(&step.name(), &step.description());
        let result = match (step, &bare) {
            (Step::Fmt, _) => host::fmt(&workspace, &mut ledger),
            (Step::Museum, _) => museum::up_to_date(&workspace.root).map(|what| ledger.pass(&what)),
            (Step::Book, _) => host::book(&workspace, &mut ledger),
            (Step::Unit, _) => host::unit(&workspace, &mut ledger),
            (Step::Ui, _) => ui::run(&workspace, &mut ledger),
            (Step::Clippy, Some(bare)) => host::clippy(bare, &mut ledger),
            (Step::Doc, Some(bare)) => host::doc(bare, &mut ledger),
            (Step::Package, Some(bare)) => package::run(bare, &mut ledger),
            (Step::Qemu, Some(bare)) => guest::tests(bare, &mut ledger),
            (Step::Examples, Some(bare)) => examples::run(bare, &mut ledger),
            (Step::Template, Some(bare)) => template::run(bare, &mut ledger),
            (Step::Cost, Some(bare)) => {
                callgrind::budgets(&workspace, &mut ledger).and_then(|()| guest::cost(bare, &mut ledger))
            }
            (Step::Bench, Some(bare)) => bench::run(bare, &mut ledger),
            (Step::Sabotage, Some(bare)) => sabotage::run(bare, &mut ledger, bugs),
            (_, None) => unreachable!("a step with a need has had its set-up"),
        };
        if let Err(error) = result {
            ledger.fail(&format!("{error:#}"));
        }
        ledger.end();
    }
    Ok(ledger.close())
}
