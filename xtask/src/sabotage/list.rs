//! The list of deliberate bugs.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::arch::{Arch, Window};
use crate::bare::Build;
use crate::qemu::Memory;
use crate::workspace::Kind;

/// Where the list is.
const LIST: &str = "kernel/tests/sabotage.toml";

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    sabotage: Vec<Sabotage>,
}

/// By whom a bug is to be caught, of those that its entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The first.
    First,
    /// Each.
    All,
}

/// The bugs that are wanted, and by whom they are to be caught.
#[derive(Debug)]
pub struct Bugs {
    /// Those of these names; all if there are none.
    pub names: Vec<String>,
    /// By which tests.
    pub which: Which,
}

impl Bugs {
    /// # Errors
    ///
    /// If there is none of such a name.
    pub fn check(&self, root: &Path) -> Result<()> {
        if self.names.is_empty() { Ok(()) } else { self.of(read(root)?).map(drop) }
    }

    /// Those of this list that are wanted.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn of(&self, list: Vec<Sabotage>) -> Result<Vec<Sabotage>> {
        if self.names.is_empty() {
            return Ok(list);
        }
        if let Some(name) = self.names.iter().find(|name| !list.iter().any(|entry| entry.name == **name)) {
            bail!("no bug is called `{name}`: see {LIST}");
        }
        Ok(list.into_iter().filter(|entry| self.names.contains(&entry.name)).collect())
    }
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
    caught_by: Catchers,
    /// Why the model does not notice, if it does not.
    not_on_model: Option<String>,
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

fn yes() -> bool {
    true
}

/// One test that must fail, or several.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "caught_by is { qemu = \"PROGRAM\", test = \"NAME\" } (or a list of names), \
                 { example = \"PROGRAM\", says = \"TEXT\" }, { unit = \"PATH\" } (and debug = false), \
                 { orders = \"PATH\" }, { model = \"PROGRAM\", test = \"PATH\" }, or a list of these"
)]
enum Catchers {
    One(CaughtBy),
    All(Vec<CaughtBy>),
}

impl Catchers {
    fn all(&self) -> &[CaughtBy] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::All(all) => all,
        }
    }
}

/// A test, or several of one program of which it depends on timing which is the first to fail.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOf {
    One(String),
    Any(Vec<String>),
}

impl OneOf {
    fn all(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Any(any) => any.iter().map(String::as_str).collect(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum CaughtBy {
    Qemu {
        qemu: String,
        test: OneOf,
    },
    Example {
        example: String,
        says: String,
    },
    Unit {
        unit: String,
        #[serde(default = "yes")]
        debug: bool,
    },
    Orders {
        orders: String,
    },
    Model {
        model: String,
        test: String,
        #[serde(default)]
        debug: bool,
    },
}

impl Sabotage {
    /// What to run, on the host or on the bare machine, and the tests of it of which one must fail: each alone. The first that is named, or
    /// all.
    pub fn catchers(&self, on_host: bool, which: Which) -> impl Iterator<Item = (Suite, Vec<&str>)> {
        let count = match which {
            Which::First => 1,
            Which::All => usize::MAX,
        };
        self.all_catchers().take(count).filter(move |(suite, _)| suite.is_on_host() == on_host)
    }

    fn all_catchers(&self) -> impl Iterator<Item = (Suite, Vec<&str>)> {
        self.caught_by.all().iter().map(|caught_by| match caught_by {
            CaughtBy::Qemu { qemu, test } => (self.guest(qemu), test.all()),
            CaughtBy::Example { example, says } => (self.guest(example), vec![says.as_str()]),
            CaughtBy::Unit { unit, debug } => (Suite::Unit { debug: *debug }, vec![unit.as_str()]),
            CaughtBy::Orders { orders } => (Suite::Orders, vec![orders.as_str()]),
            CaughtBy::Model { model, test, debug } => {
                (Suite::Model { program: model.clone(), debug: *debug }, vec![test.as_str()])
            }
        })
    }

    /// A program on the machine that the bug wants. An example is built as tests are: what is common to all is built once.
    fn guest(&self, program: &str) -> Suite {
        let cpu = self.cpu.as_deref().unwrap_or(self.arch.cpu()).to_owned();
        let build = Build::of(Kind::Test, self.arch, self.window);
        let memory = self.mem.unwrap_or(Memory::of(&cpu));
        Suite::Guest { program: program.to_owned(), build, cpu, cpus: self.smp, memory }
    }

    /// Whether it is said who notices: a bug in the crate is also one on the model, unless it is said why not.
    fn check(&self) -> Result<()> {
        let name = &self.name;
        ensure!(!self.caught_by.all().is_empty(), "{LIST}: nobody catches `{name}`");
        let on_model = self.caught_by.all().iter().any(|caught_by| matches!(caught_by, CaughtBy::Model { .. }));
        ensure!(
            on_model || self.not_on_model.is_some() || !self.file.starts_with("src"),
            "{LIST}: `{name}` is in src/, so a test on the model must notice; or say in `not_on_model` why none can"
        );
        ensure!(!on_model || self.not_on_model.is_none(), "{LIST}: the model notices `{name}`, so why `not_on_model`?");
        Ok(())
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
    /// The library's unit tests, with or without the feature `debug`.
    Unit { debug: bool },
    /// Those of them that a checker runs in many orders.
    Orders,
    /// Tests on the model, with or without the feature `debug`.
    Model { program: String, debug: bool },
}

impl Suite {
    /// Whether it needs no machine of its own.
    pub fn is_on_host(&self) -> bool {
        !matches!(self, Self::Guest { .. })
    }
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
            Self::Unit { debug: true } => f.write_str("unit"),
            Self::Unit { debug: false } => f.write_str("unit [no debug]"),
            Self::Orders => f.write_str("orders"),
            Self::Model { program, debug } => write!(f, "{program}{}", if *debug { " [debug]" } else { "" }),
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
        entry.check()?;
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

    const QEMU: &str = r#"{ qemu = "atomic", test = "stale_after_unmap" }"#;
    const ENTRY: &str = r#"
        [[sabotage]]
        name = "no-invlpg"
        why = "a stale translation survives"
        file = "kernel/src/kmap.rs"
        find = "flush();"
        replace = ""
        caught_by = { qemu = "atomic", test = "stale_after_unmap" }
    "#;

    /// Who catches the only entry of a list.
    fn catchers(text: &str) -> Vec<(String, String)> {
        let [entry] = &parse(text).unwrap()[..] else { panic!("one entry") };
        entry.all_catchers().map(|(suite, tests)| (suite.to_string(), tests.join(" or "))).collect()
    }

    #[test]
    fn the_list_is_read_and_mistakes_in_it_are_named() {
        let suite = |text: &str| catchers(text)[0].0.clone();
        assert_eq!(catchers(ENTRY), [("qemu atomic [pae]".to_owned(), "stale_after_unmap".to_owned())]);
        assert_eq!(suite(&format!("{ENTRY}arch = \"x86_64\"\ncpu = \"max\"\n")), "qemu atomic [x86_64, max]");
        assert_eq!(suite(&format!("{ENTRY}smp = 4\n")), "qemu atomic [pae, 4 CPUs]");
        assert_eq!(suite(&format!("{ENTRY}mem = \"70G\"\n")), "qemu atomic [pae, 70G]");
        let none = parse(&format!("{ENTRY}mem = \"7\"\n")).unwrap_err().to_string();
        assert!(none.contains("`7` is no memory size"), "{none}");
        assert_eq!(suite(&format!("{ENTRY}window = \"cpu\"\n")), "qemu atomic [pae, cpu window]");
        let any = ENTRY.replace(r#""stale_after_unmap""#, r#"["one", "other"]"#);
        assert_eq!(catchers(&any)[0].1, "one or other");
        let unit = r#"{ unit = "model::stale" }"#;
        assert_eq!(suite(&ENTRY.replace(QEMU, unit)), "unit");
        let unit = r#"{ unit = "model::stale", debug = false }"#;
        assert_eq!(suite(&ENTRY.replace(QEMU, unit)), "unit [no debug]");
        let example = r#"{ example = "tables", says = "the checksum" }"#;
        let example = catchers(&ENTRY.replace(QEMU, example));
        assert_eq!(example, [("qemu tables [pae]".to_owned(), "the checksum".to_owned())]);
        let orders = r#"{ orders = "pool::orders::stale" }"#;
        assert_eq!(suite(&ENTRY.replace(QEMU, orders)), "orders");

        let twice = parse(&format!("{ENTRY}{ENTRY}")).unwrap_err().to_string();
        assert!(twice.contains("two entries called `no-invlpg`"), "{twice}");
        let nobody = parse(&ENTRY.replace("qemu =", "someone =")).unwrap_err().to_string();
        assert!(nobody.contains("line 8: caught_by is"), "{nobody}");
        let nobody = parse(&ENTRY.replace(QEMU, "[]")).unwrap_err().to_string();
        assert!(nobody.contains("nobody catches `no-invlpg`"), "{nobody}");
    }

    #[test]
    fn a_bug_in_the_crate_is_one_on_the_model() {
        let in_crate = ENTRY.replace("kernel/src/kmap.rs", "src/atomic.rs");
        let silent = parse(&in_crate).unwrap_err().to_string();
        assert!(silent.contains("a test on the model must notice"), "{silent}");
        let reason = format!("{in_crate}not_on_model = \"it has no such thing\"\n");
        assert_eq!(catchers(&reason).len(), 1);
        let both = format!(r#"[{QEMU}, {{ model = "model_steps", test = "pae::stale", debug = true }}]"#);
        let expected = [("qemu atomic [pae]", "stale_after_unmap"), ("model_steps [debug]", "pae::stale")];
        let expected = expected.map(|(suite, test)| (suite.to_owned(), test.to_owned()));
        assert_eq!(catchers(&in_crate.replace(QEMU, &both)), expected);
        let entry = &parse(&in_crate.replace(QEMU, &both)).unwrap()[0];
        let count = |which| [true, false].map(|on_host| entry.catchers(on_host, which).count());
        assert_eq!((count(Which::First), count(Which::All)), ([0, 1], [1, 1]));
        let contradiction = parse(&reason.replace(QEMU, &both)).unwrap_err().to_string();
        assert!(contradiction.contains("so why `not_on_model`"), "{contradiction}");
    }
}
