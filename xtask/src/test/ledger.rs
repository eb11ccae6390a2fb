//! Counts the results of checks, step by step.

use std::io;
use std::mem;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anyhow::{Context, Result};

use super::lines::{Budget, Verdict, test_line};
use crate::process::{self, End};
use crate::say;

/// After how many results of tests there is a sign of life.
const SIGN_OF_LIFE: usize = 100;

/// The results of all steps so far.
pub struct Ledger {
    steps: Vec<Tally>,
    /// Whether each line of the programs is shown, and not of those alone in which something fails.
    verbose: bool,
    /// The lines of the program that runs, unless they have been shown.
    held: Vec<String>,
}

struct Tally {
    name: String,
    start: Instant,
    elapsed: Duration,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Ledger {
    /// Nothing checked yet. `verbose`: each line of the programs is shown, and not of those alone in which something fails.
    pub fn new(verbose: bool) -> Self {
        Self { steps: Vec::new(), verbose, held: Vec::new() }
    }

    /// Begins a step; what follows is counted for it.
    pub fn begin(&mut self, name: &str, description: &str) {
        say::heading(&format!("{name}: {description}"));
        let (passed, failed, skipped) = (0, Vec::new(), Vec::new());
        self.steps.push(Tally {
            name: name.to_owned(),
            start: Instant::now(),
            elapsed: Duration::ZERO,
            passed,
            failed,
            skipped,
        });
    }

    /// Ends the step.
    pub fn end(&mut self) {
        let tally = self.tally();
        tally.elapsed = tally.start.elapsed();
        let counts = format!(
            "{}: {} passed, {} failed ({})",
            tally.name,
            tally.passed,
            tally.failed.len(),
            say::seconds(tally.elapsed)
        );
        say::verdict(tally.failed.is_empty(), &counts);
    }

    /// A check passed.
    pub fn pass(&mut self, what: &str) {
        say::pass(what);
        self.tally().passed += 1;
    }

    /// A check failed.
    pub fn fail(&mut self, what: &str) {
        say::fail(what);
        self.tally().failed.push(what.to_owned());
    }

    /// Something was measured: it passes within its limit.
    pub fn budget(&mut self, program: &str, budget: &Budget) {
        let what = format!("{program}: {} measured {}, limit {}", budget.name, budget.measured, budget.limit);
        if budget.measured <= budget.limit { self.pass(&what) } else { self.fail(&what) }
    }

    /// A check that cannot be made here.
    pub fn skip(&mut self, what: &str) {
        say::skip(what);
        self.tally().skipped.push(what.to_owned());
    }

    /// A line of a test program: counted, if it is a result.
    pub fn hear(&mut self, program: &str, line: &str) {
        if self.verbose {
            say::guest(line);
        } else {
            self.held.push(line.to_owned());
        }
        self.count(program, line);
    }

    /// The program has ended: if something failed, here is what it said.
    pub fn ended(&mut self, failed: bool) {
        self.let_go(failed).iter().for_each(|line| say::guest(line));
    }

    /// The lines that were held: if something failed, all but those of tests that passed.
    fn let_go(&mut self, failed: bool) -> Vec<String> {
        let mut lines = mem::take(&mut self.held);
        lines.retain(|line| failed && !matches!(test_line(line), Some((_, Verdict::Passed))));
        lines
    }

    fn count(&mut self, program: &str, line: &str) {
        match test_line(line) {
            Some((_, Verdict::Passed)) => {
                self.tally().passed += 1;
                let passed = self.tally().passed;
                if !self.verbose && passed.is_multiple_of(SIGN_OF_LIFE) {
                    say::note(&format!("{passed} passed so far"));
                }
            }
            Some((name, Verdict::Failed)) => self.tally().failed.push(format!("{program}: {name}")),
            Some((name, Verdict::Ignored)) => self.tally().skipped.push(format!("{program}: {name}")),
            None => {}
        }
    }

    /// The number of results so far in this step: all, and failed.
    pub fn counts(&mut self) -> (usize, usize) {
        let tally = self.tally();
        (tally.passed + tally.failed.len() + tally.skipped.len(), tally.failed.len())
    }

    /// Runs a command whose exit status is the check. Its output goes to the screen.
    pub fn command(&mut self, what: &str, command: &mut Command) -> Result<()> {
        let status = command.status().with_context(|| format!("cannot run {what}"))?;
        match status.success() {
            true => self.pass(what),
            false => self.fail(what),
        }
        Ok(())
    }

    /// Runs a command that prints a line per test, and counts them. Colours go: trybuild always has some.
    pub fn tests(&mut self, what: &str, command: &mut Command) -> Result<()> {
        say::note(what);
        let counts = self.counts();
        let end = process::stream(command, None, |_, line| self.hear(what, &strip_str(line).to_string()));
        self.judge(what, counts, vec![end])
    }

    /// As [`tests`](Self::tests), for several commands at once. The lines of one test stay together.
    pub fn tests_side_by_side(&mut self, what: &str, commands: Vec<Command>) -> Result<()> {
        say::note(&format!("{what}, in {} parts side by side", commands.len()));
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            let listen = |mut command: Command| {
                let sender = sender.clone();
                scope.spawn(move || {
                    let mut lines = Vec::new();
                    let end = process::stream(&mut command, None, |_, line| {
                        let line = strip_str(line).to_string();
                        if line.starts_with("test ") {
                            // There is somebody who listens for as long as there is somebody who speaks.
                            let _ = sender.send(mem::take(&mut lines));
                        }
                        lines.push(line);
                    });
                    let _ = sender.send(lines);
                    end
                })
            };
            let parts: Vec<_> = commands.into_iter().map(listen).collect();
            drop(sender);
            let counts = self.counts();
            for line in receiver.into_iter().flatten() {
                self.hear(what, &line);
            }
            let ends = parts.into_iter().map(|part| part.join().expect("it does not panic")).collect();
            self.judge(what, counts, ends)
        })
    }

    /// Counts a failure that named no test, or a run without any. `(all, failed)` is what there was before.
    fn judge(
        &mut self,
        what: &str,
        (all_before, failed_before): (usize, usize),
        ends: Vec<io::Result<End>>,
    ) -> Result<()> {
        let mut succeeded = true;
        for end in ends {
            let end = end.with_context(|| format!("cannot run {what}"))?;
            succeeded &= matches!(end, End::Exited(status) if status.success());
        }
        let (all, failed) = self.counts();
        self.ended(!succeeded || failed > failed_before);
        let tests = all - all_before;
        match (succeeded, failed - failed_before) {
            (true, 0) if tests == 0 => self.fail(&format!("{what}: no test ran")),
            (true, 0) => say::pass(&format!("{what}: {tests} tests")),
            (false, 0) => self.fail(&format!("{what}: failed without naming a test; its messages are above")),
            (_, failed) => say::fail(&format!("{what}: {failed} of {tests} tests failed")),
        }
        Ok(())
    }

    /// Prints the table and the totals. `true`: nothing failed.
    pub fn close(self) -> bool {
        let row = |tally: &Tally| {
            let counts = [tally.passed, tally.failed.len(), tally.skipped.len()].map(|count| count.to_string());
            [&[tally.name.clone()][..], &counts, &[say::seconds(tally.elapsed)]].concat()
        };
        let rows: Vec<Vec<String>> = self.steps.iter().map(row).collect();
        say::table(&["step", "passed", "failed", "skipped", "time"], &rows);
        let (mut passed, mut failed) = (0, 0);
        for tally in &self.steps {
            tally.skipped.iter().for_each(|what| say::skip(&format!("{}: {what}", tally.name)));
            tally.failed.iter().for_each(|what| say::fail(&format!("{}: {what}", tally.name)));
            passed += tally.passed;
            failed += tally.failed.len();
        }
        say::verdict(failed == 0, &format!("{passed} passed, {failed} failed"));
        failed == 0
    }

    fn tally(&mut self) -> &mut Tally {
        self.steps.last_mut().expect("results are counted within a step")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn totals(script: &str) -> (usize, usize) {
        let mut ledger = Ledger::new(false);
        ledger.begin("step", "made up");
        ledger.tests("sh", &mut shell(script)).unwrap();
        ledger.counts()
    }

    #[test]
    fn parts_are_counted_together() {
        let totals = |scripts: [&str; 2]| {
            let mut ledger = Ledger::new(false);
            ledger.begin("step", "made up");
            ledger.tests_side_by_side("sh", scripts.map(shell).into()).unwrap();
            ledger.counts()
        };
        assert_eq!(totals(["echo 'test a ... ok'", "echo 'test b ... ok'; echo 'test c ... ok'"]), (3, 0));
        assert_eq!(totals(["echo 'test a ... ok'", "echo 'test b ... FAILED'; exit 101"]), (2, 1));
        assert_eq!(totals(["echo 'test a ... ok'", "exit 101"]), (2, 1));
    }

    #[test]
    fn what_failed_is_shown_and_what_passed_is_not() {
        let mut ledger = Ledger::new(false);
        ledger.begin("step", "made up");
        let lines = ["test a ... ok", "b panicked", "test b ... FAILED"];
        let shown = |ledger: &mut Ledger, failed| {
            lines.iter().for_each(|line| ledger.hear("sh", line));
            ledger.let_go(failed)
        };
        assert_eq!(shown(&mut ledger, true), ["b panicked", "test b ... FAILED"]);
        assert!(shown(&mut ledger, false).is_empty());
        assert_eq!(ledger.counts(), (4, 2));
    }

    #[test]
    fn test_lines_are_counted_and_silent_failure_is_failure() {
        assert_eq!(totals("echo 'test a ... ok'; echo 'test b ... ok'"), (2, 0));
        assert_eq!(totals("echo 'test a ... ok'; echo 'test b ... FAILED'; exit 101"), (2, 1));
        assert_eq!(totals("echo 'test a ... ok'; exit 101"), (2, 1));
        assert_eq!(totals("exit 0"), (1, 1));
        assert_eq!(totals(r"printf '\033[0mtest \033[1mui/a.rs\033[0m ... \033[32mok\n'"), (1, 0));
    }
}
