//! The step `sabotage`: does each test catch the bug that it is there for?
//!
//! A test that passes says little until it has been seen to fail. `kernel/tests/sabotage.toml` lists
//! deliberate bugs, each a replacement of text in one file, and the test that must fail with it. Each is
//! built and run in a copy of the workspace. A bug that nobody notices, that does not compile, that the named
//! test passes with or that makes the program hang is a failure of this step.

mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::bare::{Build, Builder};
use crate::process::{self, End};
use crate::qemu::{self, Machine, Outcome};
use crate::say;
use crate::test::lines::{Verdict, test_line};
use crate::test::{Bare, Ledger, ORDERS, UNOPTIMISED};
use crate::tree::Tree;
use crate::workspace::{Kind, LIBRARY, Workspace};
pub use list::{Bugs, Which};
use list::{Sabotage, Suite};

/// The names of the bugs on purpose of the workspace at `root`.
pub fn names(root: &Path) -> Result<Vec<String>> {
    Ok(list::read(root)?.into_iter().map(|sabotage| sabotage.name).collect())
}

/// How long a run may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long tests on the host may take, which are many in the runs without a bug.
const HOST_LIMIT: Duration = Duration::from_secs(300);

/// The test lines of a suite, and what ended it early, if anything did.
struct Results {
    tests: BTreeMap<String, Verdict>,
    trouble: Option<String>,
}

impl Results {
    /// Which test noticed: one of `tests`, or one that failed and thereby ended the run before any of them had its turn, as a bug
    /// that depends on timing may have it. If none did, what happened instead.
    fn noticed_by(&self, tests: &[&str]) -> Result<&str, String> {
        let mut failed =
            self.tests.iter().filter(|(_, verdict)| **verdict == Verdict::Failed).map(|(name, _)| name.as_str());
        if let Some(named) = failed.clone().find(|name| tests.contains(name)) {
            return Ok(named);
        }
        let wanted = tests.join(" or ");
        let had_its_turn = tests.iter().any(|test| self.tests.contains_key(*test));
        match (&self.trouble, failed.next()) {
            (_, Some(other)) if !had_its_turn => Ok(other),
            (_, Some(other)) => Err(format!("{wanted} did not fail; {other} did")),
            (Some(trouble), None) => Err(format!("{wanted} did not fail: {trouble}")),
            (None, None) if had_its_turn => Err(format!("{wanted} still passes")),
            (None, None) => Err(format!("{wanted} did not run")),
        }
    }

    fn require_success(&self, test: &str) -> Result<(), String> {
        match (self.tests.get(test), &self.trouble) {
            (Some(Verdict::Passed), None) => Ok(()),
            (None, None) => Err(format!("no test is called {test}")),
            (_, Some(trouble)) => Err(format!("{test}: {trouble}")),
            (Some(_), None) => Err(format!("{test} does not pass")),
        }
    }
}

/// Introduces each bug in turn: those that a test on the host has to notice beside those for a test on the bare machine. The two do not
/// wait for each other; each has its own copy of the workspace. By the first test that its entry names, or by each of them.
/// Of those that are wanted.
pub fn run(bare: &Bare, ledger: &mut Ledger, bugs: &Bugs) -> Result<()> {
    let (list, which) = (bugs.of(list::read(&bare.workspace.root)?)?, bugs.which);
    let ledger = Mutex::new(ledger);
    say::note("control: the same tests without a bug");
    thread::scope(|scope| {
        let lane = |name: &'static str, on_host: bool| {
            let (list, ledger) = (&list, &ledger);
            scope.spawn(move || Bench::new(bare, name)?.run_all(list, on_host, which, ledger))
        };
        let lanes = [lane("host", true), lane("guest", false)];
        lanes.into_iter().try_for_each(|lane| lane.join().expect("a lane does not panic"))
    })
}

/// Where a copy of the workspace is built and run.
struct Bench<'a> {
    bare: &'a Bare<'a>,
    tree: Tree,
    workspace: Workspace,
    place: PathBuf,
}

impl<'a> Bench<'a> {
    fn new(bare: &'a Bare, name: &str) -> Result<Self> {
        let place = bare.workspace.target.join("sabotage").join(name);
        let tree = Tree::new(&bare.workspace.root, place.join("tree"));
        tree.sync(None)?;
        let workspace = Workspace::open_at(&tree.copy)?;
        Ok(Self { bare, tree, workspace, place })
    }

    /// Runs the tests on the host, or those on the bare machine: first without a bug, and then each with each bug that it has to notice.
    fn run_all(&self, list: &[Sabotage], on_host: bool, which: Which, ledger: &Mutex<&mut Ledger>) -> Result<()> {
        let ledger = || ledger.lock().expect("nobody panics in between");
        let mut suites: BTreeMap<Suite, BTreeSet<&str>> = BTreeMap::new();
        for (suite, tests) in list.iter().flat_map(|entry| entry.catchers(on_host, which)) {
            suites.entry(suite).or_default().extend(tests);
        }
        for (suite, tests) in &suites {
            let tests: Vec<&str> = tests.iter().copied().collect();
            let results = self.run(suite, &tests)?;
            for test in tests {
                if let Err(why) = results.require_success(test) {
                    bail!("control: {suite}: {why}; no bug can be judged before that is mended");
                }
            }
            ledger().pass(&format!("control {suite} passes"));
        }
        for entry in list {
            for (suite, tests) in entry.catchers(on_host, which) {
                let result = entry.text(&self.bare.workspace.root).and_then(|text| {
                    self.tree.sync(Some((&entry.file, &text)))?;
                    self.run(&suite, &tests)?.noticed_by(&tests).map(str::to_owned).map_err(anyhow::Error::msg)
                });
                match result {
                    Ok(test) => ledger().pass(&format!("caught  {}: {suite} {test} failed as it must", entry.name)),
                    Err(why) => ledger().fail(&format!("missed  {} ({}): {suite}: {why:#}", entry.name, entry.why)),
                }
            }
        }
        self.tree.sync(None)
    }

    fn run(&self, suite: &Suite, tests: &[&str]) -> Result<Results> {
        match suite {
            Suite::Guest { program, build, cpu, cpus, memory } => {
                let machine = Machine { limit: LIMIT, cpus: *cpus, memory: *memory, ..Machine::with_cpu(cpu) };
                self.guest(program, tests, *build, &machine)
            }
            Suite::Unit { debug: true } => self.host(tests, "host", &["--lib", "--all-features"]),
            Suite::Unit { debug: false } => self.host(tests, "host", &["--lib", "--features", "model"]),
            Suite::Orders => self.host(tests, "orders", &["--lib"]),
            Suite::Model { program, debug } => {
                // `x86_64` adds a crate's traits, and changes nothing.
                let features = if *debug { "model,x86_64,debug" } else { "model,x86_64" };
                self.host(tests, "host", &["--test", program, "--features", features])
            }
        }
    }

    fn guest(&self, program: &str, tests: &[&str], build: Build, machine: &Machine) -> Result<Results> {
        let programs = self.workspace.programs()?;
        let program = programs.find(program)?;
        program.check(build.arch)?;
        let builder = Builder::quiet(&self.workspace, self.bare.toolchain, &self.place);
        let built = builder.build(&[program], build)?;
        let elf = built.get(&program.name).context("it does not compile")?;
        let run = qemu::run(elf, &machine.clone().with_disk_of(program, build.arch), |_| ())?;
        let has_passed = matches!(run.outcome, Outcome::Pass);
        let trouble = match run.outcome {
            Outcome::Pass | Outcome::Failed(_) => None,
            Outcome::Hang(_) => bail!("{}", run.outcome),
            outcome => Some(outcome.to_string()),
        };
        let tests = match program.kind {
            Kind::Example => by_last_words(&run.output, has_passed, tests),
            Kind::Test | Kind::Bench => collect(&run.output),
        };
        Ok(Results { tests, trouble })
    }

    /// Runs these tests of the library, built at `place` with these options.
    fn host(&self, tests: &[&str], place: &str, options: &[&str]) -> Result<Results> {
        let cargo = || {
            let mut cargo = self.workspace.cargo(&["test", "-p", LIBRARY]);
            cargo.args(options).arg("--target-dir").arg(self.place.join(place));
            // Of each bug, nearly all of the time goes into compiling it.
            cargo.envs(UNOPTIMISED);
            if place == "orders" {
                cargo.env("RUSTFLAGS", ORDERS);
            }
            cargo
        };
        let compiled = cargo().arg("--no-run").output().context("cannot run cargo")?;
        if !compiled.status.success() {
            say::line(&String::from_utf8_lossy(&compiled.stderr));
            bail!("it does not compile");
        }
        let mut output = String::new();
        let mut command = cargo();
        command.args(["--no-fail-fast", "--", "--exact"]).args(tests).stderr(Stdio::null());
        let end = process::stream(&mut command, Some(HOST_LIMIT), |_, line| {
            output.push_str(line);
            output.push('\n');
        })?;
        ensure!(matches!(end, End::Exited(_)), "hang: no verdict within {}", say::seconds(HOST_LIMIT));
        Ok(Results { tests: collect(&output), trouble: None })
    }
}

fn collect(output: &str) -> BTreeMap<String, Verdict> {
    output.lines().filter_map(test_line).map(|(name, verdict)| (name.to_owned(), verdict)).collect()
}

/// An example has no tests: it passes, or says one of these texts as it fails.
fn by_last_words(output: &str, has_passed: bool, texts: &[&str]) -> BTreeMap<String, Verdict> {
    let verdict = if has_passed { Verdict::Passed } else { Verdict::Failed };
    let said = texts.iter().filter(|text| has_passed || output.contains(**text));
    said.map(|text| ((*text).to_owned(), verdict)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_test_has_to_fail_if_it_has_its_turn() {
        let judge = |output: &str, trouble: Option<&str>| {
            let results = Results { tests: collect(output), trouble: trouble.map(str::to_owned) };
            results.noticed_by(&["a"]).map(str::to_owned)
        };
        assert_eq!(judge("test a ... FAILED", None), Ok("a".to_owned()));
        assert_eq!(judge("test a ... FAILED\ntest b ... FAILED", Some("crashed")), Ok("a".to_owned()));
        assert_eq!(judge("test b ... FAILED", None), Ok("b".to_owned()));
        assert_eq!(judge("test a ... ok", None), Err("a still passes".to_owned()));
        assert_eq!(judge("test a ... ok\ntest b ... FAILED", None), Err("a did not fail; b did".to_owned()));
        assert_eq!(judge("test b ... ok", Some("crashed")), Err("a did not fail: crashed".to_owned()));
        assert_eq!(judge("", None), Err("a did not run".to_owned()));
    }

    #[test]
    fn an_example_fails_with_the_words_of_its_entry() {
        let judge = |output: &str, has_passed| {
            let results = Results { tests: by_last_words(output, has_passed, &["the sum"]), trouble: None };
            results.noticed_by(&["the sum"]).map(str::to_owned)
        };
        assert_eq!(judge("panicked at the sum", false), Ok("the sum".to_owned()));
        assert_eq!(judge("panicked at the root", false), Err("the sum did not run".to_owned()));
        assert_eq!(judge("the sum is right", true), Err("the sum still passes".to_owned()));
    }
}
