//! The list of deliberate bugs.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

use crate::arch::{Arch, Window};
use crate::bare::Build;
use crate::qemu::Memory;

/// Where the list is.
const LIST: &str = "kernel/tests/sabotage.toml";

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    sabotage: Vec<Sabotage>,
}

/// One deliberate bug.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sabotage {
    /// Unique in the list.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
    /// The file that it is in.
    pub file: PathBuf,
    find: String,
    replace: String,
    caught_by: CaughtBy,
    #[serde(default)]
    arch: Arch,
    #[serde(default)]
    window: Window,
    cpu: Option<String>,
    mem: Option<Memory>,
    #[serde(default = "one")]
    smp: usize,
}

fn one() -> usize {
    1
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "caught_by is { qemu = \"PROGRAM\", test = \"NAME\" } or { unit = \"PATH\" }"
)]
enum CaughtBy {
    Qemu { qemu: String, test: String },
    Unit { unit: String },
}

impl Sabotage {
    /// What to run.
    pub fn suite(&self) -> Suite {
        match &self.caught_by {
            CaughtBy::Qemu { qemu, .. } => {
                let cpu = self.cpu.as_deref().unwrap_or(self.arch.cpu()).to_owned();
                let build = Build::release(self.arch, self.window);
                let memory = self.mem.unwrap_or(Memory::of(&cpu));
                Suite::Guest { program: qemu.clone(), build, cpu, cpus: self.smp, memory }
            }
            CaughtBy::Unit { .. } => Suite::Host,
        }
    }

    /// The test that must fail.
    pub fn test(&self) -> &str {
        match &self.caught_by {
            CaughtBy::Qemu { test, .. } => test,
            CaughtBy::Unit { unit } => unit,
        }
    }

    /// The text of the file with the bug in it.
    pub fn text(&self, root: &Path) -> Result<String> {
        let file = self.file.display();
        let text = fs::read_to_string(root.join(&self.file)).with_context(|| format!("cannot read {file}"))?;
        replace_once(&text, &self.find, &self.replace)
            .map_err(|why| anyhow!("{why} in {file}; bring {LIST} up to date"))
    }
}

/// What is run at once: a program in QEMU, or the library's tests on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// A program, what it is built for, and the machine that it runs on.
    Guest { program: String, build: Build, cpu: String, cpus: usize, memory: Memory },
    /// The library's unit and integration tests.
    Host,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest { program, build: Build { arch, window, .. }, cpu, cpus, memory } => {
                write!(f, "qemu {program} [{arch}")?;
                if cpu != arch.cpu() {
                    write!(f, ", {cpu}")?;
                }
                if *cpus != 1 {
                    write!(f, ", {cpus} CPUs")?;
                }
                if *memory != Memory::of(cpu) {
                    write!(f, ", {memory}")?;
                }
                write!(f, "{}]", window.remark())
            }
            Self::Host => f.write_str("unit"),
        }
    }
}

/// Reads the list of the workspace at `root`.
pub fn read(root: &Path) -> Result<Vec<Sabotage>> {
    let text = fs::read_to_string(root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Sabotage>> {
    let list: List = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        anyhow!("{LIST}, line {line}: {}", error.message())
    })?;
    ensure!(!list.sabotage.is_empty(), "{LIST} has no entry");
    let mut names = BTreeSet::new();
    for entry in &list.sabotage {
        ensure!(names.insert(&entry.name), "{LIST} has two entries called `{}`", entry.name);
    }
    Ok(list.sabotage)
}

fn replace_once(text: &str, find: &str, replace: &str) -> Result<String, String> {
    match text.matches(find).count() {
        _ if find.is_empty() => Err("`find` is empty".to_owned()),
        _ if find == replace => Err("`find` and `replace` are the same".to_owned()),
        1 => Ok(text.replacen(find, replace, 1)),
        count => Err(format!("`find` occurs {count} times instead of once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_fits_exactly_once() {
        assert_eq!(replace_once("set(); flush();", "flush();", ""), Ok("set(); ".to_owned()));
        assert_eq!(replace_once("a a", "a", "b"), Err("`find` occurs 2 times instead of once".to_owned()));
        assert_eq!(replace_once("a", "b", "c"), Err("`find` occurs 0 times instead of once".to_owned()));
        assert!(replace_once("a", "a", "a").is_err());
        assert!(replace_once("a", "", "b").is_err());
    }

    const ENTRY: &str = r#"
        [[sabotage]]
        name = "no-invlpg"
        why = "a stale translation survives"
        file = "src/atomic.rs"
        find = "flush();"
        replace = ""
        caught_by = { qemu = "atomic", test = "stale_after_unmap" }
    "#;

    #[test]
    fn the_list_is_read_and_mistakes_in_it_are_named() {
        let [entry] = &parse(ENTRY).unwrap()[..] else { panic!("one entry") };
        assert_eq!((entry.suite().to_string().as_str(), entry.test()), ("qemu atomic [pae]", "stale_after_unmap"));
        let long = format!("{ENTRY}arch = \"x86_64\"\ncpu = \"max\"\n");
        assert_eq!(parse(&long).unwrap()[0].suite().to_string(), "qemu atomic [x86_64, max]");
        let four = format!("{ENTRY}smp = 4\n");
        assert_eq!(parse(&four).unwrap()[0].suite().to_string(), "qemu atomic [pae, 4 CPUs]");
        let large = format!("{ENTRY}mem = \"70G\"\n");
        assert_eq!(parse(&large).unwrap()[0].suite().to_string(), "qemu atomic [pae, 70G]");
        let none = parse(&format!("{ENTRY}mem = \"7\"\n")).unwrap_err().to_string();
        assert!(none.contains("`7` is no memory size"), "{none}");
        let own = format!("{ENTRY}window = \"cpu\"\n");
        assert_eq!(parse(&own).unwrap()[0].suite().to_string(), "qemu atomic [pae, cpu window]");
        let unit = ENTRY.replace(r#"{ qemu = "atomic", test = "stale_after_unmap" }"#, r#"{ unit = "model::stale" }"#);
        assert_eq!(parse(&unit).unwrap()[0].suite(), Suite::Host);

        let twice = parse(&format!("{ENTRY}{ENTRY}")).unwrap_err().to_string();
        assert!(twice.contains("two entries called `no-invlpg`"), "{twice}");
        let nobody = parse(&ENTRY.replace("qemu =", "someone =")).unwrap_err().to_string();
        assert!(nobody.contains("line 8: caught_by is"), "{nobody}");
    }
}
