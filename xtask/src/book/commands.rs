//! Whether the commands of the pages are there, and who runs them.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Parser;

use super::page::Page;
use crate::workspace::{LIBRARY, Programs, Workspace};
use crate::{Cli, Command};

/// Commands that no step of the tests runs as they stand, by their first words: which one does what they do, or why none does.
const ELSEWHERE: [(&str, &str); 10] = [
    ("cargo mutants", "takes hours"),
    ("cargo install cargo-mutants", "goes before that"),
    ("export", "goes before that"),
    ("cargo test -p highmem", "the steps `unit` and `ui` run it without the filter"),
    ("cargo test", "in a kernel of one's own: the step `template`"),
    ("cargo run", "there, too"),
    ("cargo add highmem", "there, too: its kernel depends on it"),
    ("cd", "goes before that"),
    ("cargo bench -p host-benches", "measures time: the step `bench` runs each benchmark once"),
    ("objdump", "is for people: the step `cost` reads the same code"),
];

/// What commands are checked against.
struct Known<'a> {
    programs: &'a Programs,
    /// The names of the examples and tests of the library.
    targets: BTreeSet<&'a str>,
}

/// The number of commands, and a fault for each that there is not, or that nobody runs.
pub fn check(workspace: &Workspace, pages: &[Page]) -> Result<(usize, Vec<String>)> {
    let programs = workspace.programs()?;
    let targets = workspace.package(LIBRARY)?.targets.iter().map(|target| target.name.as_str()).collect();
    let known = Known { programs: &programs, targets };
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages {
        for (line, command) in commands(page) {
            count += 1;
            if let Err(why) = known.check(&command) {
                faults.push(page.fault(line, &format!("`{}`: {why}", command.join(" "))));
            }
        }
    }
    Ok((count, faults))
}

/// The commands of a page: lines of its blocks in the shell's language, and what begins like one in its text. As words, each with its line.
/// A command of ours that is but named in the text has no arguments: it is asked for its help.
fn commands(page: &Page) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for block in page.blocks().iter().filter(|block| ["sh", "console"].contains(&block.info.as_str())) {
        let mut rest = String::new();
        for (line, text) in (block.line + 1..).zip(block.text.lines()) {
            match text.strip_suffix('\\') {
                Some(begin) => rest += begin,
                None => found.extend(variants(&(std::mem::take(&mut rest) + text)).map(|words| (line, words))),
            }
        }
    }
    for (line, span) in page.spans() {
        if ["cargo xtask ", "cargo test ", "cargo run "].iter().any(|begin| span.starts_with(begin)) {
            let is_name = span.starts_with("cargo xtask ") && span.split_whitespace().count() == 3;
            let span = if is_name { format!("{span} --help") } else { span };
            found.extend(variants(&span).map(|words| (line, words)));
        }
    }
    found
}

/// The words of a command, with and without what is in brackets. None, if there is but a comment.
fn variants(line: &str) -> impl Iterator<Item = Vec<String>> {
    let without = match (line.find('['), line.rfind(']')) {
        (Some(begin), Some(end)) if begin < end => Some(format!("{}{}", &line[..begin], &line[end + 1..])),
        _ => None,
    };
    let words = |line: String| shlex::split(&line).unwrap_or_else(|| vec![line]);
    without.into_iter().chain([line.replace(['[', ']'], "")]).map(words).filter(|words| !words.is_empty())
}

impl Known<'_> {
    /// Whether there is this command and somebody runs it; otherwise, why not.
    fn check(&self, command: &[String]) -> Result<(), String> {
        let words: Vec<&str> = command.iter().map(String::as_str).skip_while(|word| is_assignment(word)).collect();
        match words.as_slice() {
            ["cargo", "xtask", rest @ ..] => self.xtask(rest)?,
            ["cargo", "run" | "test", rest @ ..] => self.target(rest)?,
            _ => {}
        }
        let line = words.join(" ");
        let is_run_by_hand =
            ELSEWHERE.iter().any(|(begin, _)| line == *begin || line.starts_with(&format!("{begin} ")));
        match words.as_slice() {
            ["cargo", "xtask", ..] => Ok(()),
            ["cargo", "run" | "test", rest @ ..] if rest.contains(&"--example") => Ok(()),
            _ if is_run_by_hand => Ok(()),
            _ => Err("no step of the tests runs it: see the list in xtask/src/book/commands.rs".to_owned()),
        }
    }

    /// A command of ours.
    fn xtask(&self, words: &[&str]) -> Result<(), String> {
        let parsed = match Cli::try_parse_from([&["cargo xtask"], words].concat()) {
            Ok(parsed) => parsed,
            Err(error) if !error.use_stderr() => return Ok(()),
            Err(error) => return Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
        };
        // A program is run by the step of its kind: `examples`, `qemu` or `cost`. The other commands are those steps, or run in them.
        if let Command::Qemu(args) = parsed.command
            && let Some(name) = args.name.filter(|name| !is_placeholder(name))
        {
            let program = self.programs.find(&name).map_err(|error| error.to_string())?;
            program.check(args.arch).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// A command of cargo: the example or test that it names is there.
    fn target(&self, words: &[&str]) -> Result<(), String> {
        for pair in words.windows(2).filter(|pair| ["--example", "--test"].contains(&pair[0])) {
            if !self.targets.contains(pair[1]) {
                return Err(format!("package {LIBRARY} has no target `{}`", pair[1]));
            }
        }
        Ok(())
    }
}

/// `NAME=value`, before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| is_placeholder(name))
}

/// A word for a name to be filled in.
fn is_placeholder(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let page = Page { path: "docs/one.md".into(), text: text.to_owned() };
        let (count, faults) = check(&Workspace::open().unwrap(), &[page]).unwrap();
        assert!(count > 0, "{text}");
        faults
    }

    #[test]
    fn commands_that_are_there_and_are_run() {
        for good in [
            "cargo xtask demo --arch x86_64   # in 64-bit mode",
            "cargo xtask --help",
            "cargo xtask qemu NAME --smp 4",
            "cargo xtask qemu kmap_local --icount [--window cpu]",
            "cargo xtask test --only fmt,clippy",
            "cargo run --example model_tour \\\n    --features model",
            "PROPTEST_CASES=7 cargo test -p highmem --test model_programs",
            "RUSTFLAGS=\"--cfg shuttle\" cargo test -p highmem --lib",
        ] {
            assert_eq!(faults(&format!("```sh\n{good}\n```\n")), [""; 0], "{good}");
        }
    }

    #[test]
    fn commands_that_are_not_there_or_nobody_runs() {
        for bad in [
            "cargo xtask dem",
            "cargo xtask demo --arch arm",
            "cargo xtask qemu no_such_program",
            "cargo xtask qemu no_direct_map --arch pae",
            "cargo xtask qemu kmap_local --icount [--windows cpu]",
            "cargo xtask test --only fmt,clip",
            "cargo run --example no_such_example",
            "cargo test -p highmem --test no_such_test",
            "cargo tests",
            "rm -r .",
        ] {
            let found = faults(&format!("text\n\n```sh\n{bad}\n```\n"));
            assert_eq!(found.len(), 1, "{bad}");
            assert!(found[0].starts_with("docs/one.md:4: "), "{found:?}");
        }
        assert_eq!(faults("Run `cargo xtask dem` now.\n").len(), 1);
        assert_eq!(faults("Run `cargo xtask qemu` now.\n"), [""; 0], "named, with nothing said about how");
        assert_eq!(faults("Run `cargo xtask qemu --smp 4` now.\n").len(), 1);
    }
}
