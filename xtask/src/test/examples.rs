//! The step `examples`: each example passes, in QEMU or on the host, some with a trace of what they map, and each way to misuse the tool ends
//! in a clear error.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{Bare, Ledger, guest};
use crate::arch::{Arch, Window};
use crate::bare::Build;
use crate::demo;
use crate::process::{self, End, Source};
use crate::qemu::Machine;
use crate::trace;
use crate::workspace::LIBRARY;

/// Boots the examples, then makes mistakes.
pub fn run(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    guest::examples(bare, ledger)?;
    for target in bare.workspace.package(LIBRARY)?.targets.iter().filter(|target| target.is_example()) {
        let mut cargo = bare.workspace.cargo(&["run", "-p", LIBRARY, "--example", &target.name, "--features"]);
        cargo.arg(target.required_features.join(","));
        ledger.command(&format!("{} on the host", target.name), &mut cargo)?;
    }
    traces(bare, ledger)?;
    let [example, ..] = demo::PROGRAMS;
    let mistakes: [(&str, &[&str], &str); 9] = [
        ("an unknown program", &["no_such_program"], "no program is called `no_such_program`"),
        ("a size that is none", &[example, "--mem", "banana"], "`banana` is no memory size"),
        ("a paging mode that is none", &[example, "--arch", "arm"], "invalid value 'arm'"),
        ("a paging mode without a driver", &["virtio", "--arch", "pae"], "`virtio` is not for pae"),
        ("a window that is none", &[example, "--window", "own"], "invalid value 'own'"),
        ("a CPU without the paging mode", &[example, "--cpu", "pentium"], "the program reported failure"),
        ("a CPU without PGE", &[example, "--cpu", "max,pge=off"], "the program reported failure"),
        ("no memory above 4 GiB", &[example, "--mem", "512M", "--timeout", "60"], "the program reported failure"),
        ("a time limit that is too short", &[example, "--timeout", "0.01"], "hang: no verdict within 0.01 s"),
    ];
    let of_bench: [(&str, &[&str], &str); 2] = [
        ("too few boots", &["--boots", "3"], "3 is not in 5..=100"),
        ("boots for what is not timed", &["--exact", "--boots", "6"], "cannot be used with"),
    ];
    let of_trace: [(&str, &[&str], &str); 4] = [
        ("an unknown program to trace", &["no_such_program"], "no program is called `no_such_program`"),
        ("a time without its unit", &[example, "--from", "5"], "a time with its unit"),
        ("a time behind the end", &[TRACED[0].0, "--from", "10000s"], "--from: the trace ends after"),
        ("a trace that hangs", &[example, "--timeout", "0.01"], "hang: no verdict within 0.01 s"),
    ];
    let of_test: [(&str, &[&str], &str); 2] = [
        ("a bug on purpose that is none", &["--bug", "no-such-bug"], "no bug is called `no-such-bug`"),
        ("a bug on purpose in another step", &["--bug", "no-such-bug", "--only", "fmt"], "cannot be used with"),
    ];
    let mistakes = mistakes.into_iter().map(|mistake| ("qemu", mistake));
    let mistakes = mistakes.chain(of_bench.map(|mistake| ("bench", mistake)));
    let mistakes = mistakes.chain(of_trace.map(|mistake| ("trace", mistake)));
    for (command, (what, arguments, message)) in mistakes.chain(of_test.map(|mistake| ("test", mistake))) {
        match refusal(bare, command, arguments, message)? {
            Ok(line) => ledger.pass(&format!("{what}: {line}")),
            Err(why) => ledger.fail(&format!("{what}: {why}")),
        }
    }
    Ok(())
}

/// Examples that end all that they map, and the CPUs on which they are traced.
const TRACED: [(&str, usize); 2] = [("token_tour", 1), ("highpte", 2)];

/// Each mapping that is told of ends, in the slot where it began, and handlers nest.
fn traces(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    for arch in Arch::ALL {
        for (name, cpus) in TRACED {
            let program = bare.programs.find(name)?;
            let elf = trace::build(&bare.builder(), program, Build::release(arch, Window::Shared))?;
            let machine = Machine { cpus, ..Machine::of(arch) };
            let label = format!("trace of {name} [{arch}, {cpus} CPUs]");
            match trace::check(&bare.workspace.target, &elf, &machine, name)? {
                Ok(said) => ledger.pass(&format!("{label}: {said}")),
                Err(wrong) => ledger.fail(&format!("{label}: {wrong}")),
            }
        }
    }
    Ok(())
}

/// Gives this program one of its commands; it must fail soon, with `message` in a line that begins with `error:`.
pub fn refusal(bare: &Bare, name: &str, arguments: &[&str], message: &str) -> Result<Result<String, String>> {
    let mut command = Command::new(std::env::current_exe().context("this program has no name")?);
    command.arg(name).args(arguments).current_dir(&bare.workspace.root).stderr(Stdio::piped());
    if let Some(choice) = bare.choice.to_possible_value() {
        command.args(["--toolchain", choice.get_name()]);
    }
    let mut errors = Vec::new();
    let end = process::stream(&mut command, Some(Duration::from_secs(120)), |source, line| {
        if source == Source::Err && line.starts_with("error:") {
            errors.push(line.to_owned());
        }
    })?;
    Ok(match (end, errors.into_iter().find(|line| line.contains(message))) {
        (End::TimedOut, _) => Err("the command hangs".to_owned()),
        (End::Exited(status), _) if status.success() => Err("the command succeeds".to_owned()),
        (End::Exited(_), Some(line)) => Ok(line),
        (End::Exited(status), None) => Err(format!("no error line says `{message}` ({status})")),
    })
}
