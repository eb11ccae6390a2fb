//! Instructions on the host: a program of package `host-benches` under valgrind's callgrind.
//!
//! The program prints a line with a limit, then calls one function, and so on. Callgrind counts within that function alone, and writes a file
//! behind each call: the first file belongs to the first line.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Message;

use super::Ledger;
use super::lines::Budget;
use crate::process::{self, End};
use crate::say;
use crate::setup;
use crate::workspace::{HOST_BENCHES, Workspace};

/// The program, and the function within which is counted.
const PROGRAM: &str = "instructions";
const COUNTED: &str = "measured";

/// How long the program may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Counts twice, and compares the counts with each other and with the limits.
pub fn budgets(workspace: &Workspace, ledger: &mut Ledger) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        ledger.skip("instructions on the host: the model is for 64-bit Linux on x86");
        return Ok(());
    }
    setup::valgrind()?;
    say::note("instructions on the host, by callgrind, twice");
    let program = build(workspace)?;
    let counts = workspace.target.join("callgrind");
    let (first, second) = (count(&program, &counts)?, count(&program, &counts)?);
    let name = format!("{PROGRAM} [host]");
    match first.iter().zip(&second).find(|(one, other)| one != other) {
        None => ledger.pass(&format!("{name}: both runs say the same")),
        Some((one, other)) => {
            ledger.fail(&format!(
                "{name}: the runs differ: {} measured {}, then {}",
                one.name, one.measured, other.measured
            ));
        }
    }
    for budget in first {
        ledger.budget(&name, &budget);
    }
    Ok(())
}

/// Cargo's `bench` profile, and not Criterion, which the other benchmarks of the package need.
fn build(workspace: &Workspace) -> Result<String> {
    let options = ["--profile", "bench", "--message-format", "json-render-diagnostics"];
    let mut cargo = workspace.cargo(&["build", "-p", HOST_BENCHES, "--bin", PROGRAM]);
    let mut program = None;
    let end = process::stream(cargo.args(options), None, |_, line| {
        if let Some(Ok(Message::CompilerArtifact(artifact))) = Message::parse_stream(line.as_bytes()).next() {
            program = artifact.executable.map(String::from).or(program.take());
        }
    });
    let succeeded = matches!(end.context("cannot run cargo")?, End::Exited(status) if status.success());
    ensure!(succeeded, "{PROGRAM} does not build");
    program.with_context(|| format!("cargo does not say where {PROGRAM} is"))
}

/// Runs the program once.
fn count(program: &str, counts: &Path) -> Result<Vec<Budget>> {
    if counts.exists() {
        fs::remove_dir_all(counts)?;
    }
    fs::create_dir_all(counts)?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.args([format!("--toggle-collect={COUNTED}"), format!("--dump-after={COUNTED}")]);
    valgrind.arg(format!("--callgrind-out-file={}", counts.join("part").display())).arg(program);
    let mut lines = Vec::new();
    let end = process::stream(&mut valgrind, Some(LIMIT), |_, line| lines.push(line.to_owned()))?;
    if !matches!(end, End::Exited(status) if status.success()) {
        bail!("{PROGRAM} fails under callgrind; its messages are above");
    }
    let part = |(at, line): (usize, &String)| {
        let file = counts.join(format!("part.{}", at + 1));
        let text =
            fs::read_to_string(&file).with_context(|| format!("callgrind has not written {}", file.display()))?;
        budget(line, &text)
    };
    let budgets = lines.iter().enumerate().map(part).collect::<Result<Vec<_>>>()?;
    let more = counts.join(format!("part.{}", lines.len() + 1));
    ensure!(!lines.is_empty() && !more.exists(), "{PROGRAM} has printed {} limits, and measured more", lines.len());
    Ok(budgets)
}

/// What a line of the program says of what is in a file of callgrind.
fn budget(line: &str, part: &str) -> Result<Budget> {
    let limit = line.strip_prefix("limit ").and_then(|rest| rest.split_once(' '));
    let (limit, name) = limit.with_context(|| format!("`{line}` is no limit"))?;
    let limit = limit.parse().with_context(|| format!("`{line}` has no number"))?;
    let total = part.lines().find_map(|line| line.strip_prefix("totals: "));
    let measured = total.and_then(|total| total.trim().parse().ok()).context("callgrind gives no total")?;
    ensure!(measured > 0.0, "callgrind has counted nothing of {name}: is there no function `{COUNTED}` any more?");
    Ok(Budget { name: name.to_owned(), measured, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_and_what_was_counted() {
        let part = "version: 1\nevents: Ir\nfn=measured\n12 40\nsummary: 43\n\n\ntotals: 43\n";
        let expected = Budget { name: "kmap, lowmem".to_owned(), measured: 43.0, limit: 44.0 };
        assert_eq!(budget("limit 44 kmap, lowmem", part).unwrap(), expected);
        for (line, part) in [
            ("44 kmap", part),
            ("limit kmap", part),
            ("limit x kmap", part),
            ("limit 44 kmap", "events: Ir\n"),
            ("limit 44 kmap", "totals: 0\n"),
        ] {
            assert!(budget(line, part).is_err(), "{line}, {part}");
        }
    }
}
