//! One exhibit: a real bug, our version of it, and what becomes of that.
//!
//! Each is a program whose head, its `//!` lines, says what the bug was, or a file that says which tests look for it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// A bug, by the letter of its class and a number in it, such as `A04`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    /// The id that `text` is.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = matches!(text.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9']);
        is_id.then(|| Self(text.to_owned()))
    }

    /// The letter of its class.
    pub fn letter(&self) -> &str {
        &self.0[..1]
    }

    /// For links within a page.
    pub fn anchor(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What becomes of a mistake here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The compiler refuses it.
    Refused,
    /// It compiles, and ends at run time in a defined way.
    Caught,
    /// It compiles, and is right.
    Harmless,
    /// It is a mistake in a mapper: tests look for it in ours.
    Tested,
    /// There is nothing to make it with.
    Impossible,
    /// It is about something that is not here.
    DoesNotApply,
}

impl Outcome {
    pub const ALL: [Self; 6] =
        [Self::Refused, Self::Caught, Self::Harmless, Self::Tested, Self::Impossible, Self::DoesNotApply];

    /// Those of programs: mistakes of those who use a mapper, written with ours.
    pub fn is_clients(self) -> bool {
        matches!(self, Self::Refused | Self::Caught | Self::Harmless)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "does not compile",
            Self::Caught => "caught at run time",
            Self::Harmless => "is right here",
            Self::Tested => "tested in our mapper",
            Self::Impossible => "cannot be written",
            Self::DoesNotApply => "does not apply",
        }
    }

    /// One word of it, for style sheets.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Caught => "caught",
            Self::Harmless => "harmless",
            Self::Tested => "tested",
            Self::Impossible => "impossible",
            Self::DoesNotApply => "elsewhere",
        }
    }
}

/// A program without its head, and without the lines that bring other files in.
#[derive(Debug)]
pub struct Program {
    /// Where it is, from the root.
    pub path: PathBuf,
    /// What it shares with others, besides the prelude.
    pub fixtures: Vec<PathBuf>,
    /// The number of its first line in the file.
    pub first_line: usize,
    pub code: String,
}

/// What the compiler says.
#[derive(Debug)]
pub struct Message {
    pub text: String,
    /// The lines of the program that its errors are about.
    pub lines: Vec<usize>,
}

/// How the mistake is shown.
#[derive(Debug)]
pub enum Exhibit {
    Program {
        program: Program,
        message: Option<Message>,
        /// The same thing done right, and how.
        twin: Option<(String, Program)>,
    },
    Elsewhere {
        /// The tests that look for it: file and function.
        tests: Vec<(PathBuf, String)>,
        /// Entries of the list of bugs on purpose.
        sabotage: Vec<String>,
    },
}

/// A case of the museum.
#[derive(Debug)]
pub struct Case {
    pub id: Id,
    /// The file that it is in, from the root.
    pub path: PathBuf,
    pub subject: String,
    pub title: String,
    /// Who, when, and where it can be read.
    pub source: String,
    /// The bug, in C.
    pub bug: String,
    /// What happened, and what happens here.
    pub text: String,
    pub outcome: Outcome,
    pub exhibit: Exhibit,
}

/// What a program says about itself.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    id: Id,
    subject: String,
    title: String,
    source: String,
    bug: String,
    text: String,
}

/// The file of a case that is no program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    outcome: String,
    subject: String,
    title: String,
    source: String,
    bug: String,
    text: String,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    sabotage: Vec<String>,
}

impl Case {
    /// The case of the program at `path`, from `root`. One that is refused has a message, and each but a harmless one a twin.
    pub fn of_program(root: &Path, path: &Path, outcome: Outcome) -> Result<Self> {
        let text = read(root, path)?;
        let head = Head::parse(&text).with_context(|| format!("{}: its head", path.display()))?;
        same_id(path, &head.id)?;
        let id = &head.id;
        let program = Program::parse(path, &text);
        let message = match outcome {
            Outcome::Refused => {
                let path = path.with_extension("stderr");
                let text = read(root, &path).with_context(|| format!("{id} has no message of the compiler"))?;
                ensure!(text.starts_with("error"), "{id}: {} does not begin with an error", path.display());
                let lines = lines_of_errors(&text, &program.path);
                Some(Message { text: text.trim_end().to_owned(), lines })
            }
            _ => None,
        };
        let twin = twin_of(path);
        let twin = if root.join(&twin).is_file() {
            let text = read(root, &twin)?;
            let (head, _) = head_lines(&text);
            ensure!(!head.is_empty(), "{id}: {} does not say in a `//!` line how it is right", twin.display());
            Some((head.join(" "), Program::parse(&twin, &text)))
        } else {
            ensure!(outcome == Outcome::Harmless, "{id} has no twin that is right: {} is missing", twin.display());
            None
        };
        let Head { id, subject, title, source, bug, text } = head;
        let exhibit = Exhibit::Program { program, message, twin };
        Ok(Self { id, path: path.to_owned(), subject, title, source, bug, text, outcome, exhibit })
    }

    /// The case that the file at `path`, from `root`, describes. The tests that it names exist, and so do the bugs on purpose.
    pub fn elsewhere(root: &Path, path: &Path, bugs_on_purpose: &[String]) -> Result<Self> {
        let shown = path.display();
        let file: Elsewhere = toml::from_str(&read(root, path)?).with_context(|| shown.to_string())?;
        let id = id_of(path)?;
        let outcome = match file.outcome.as_str() {
            "tested" => Outcome::Tested,
            "impossible" => Outcome::Impossible,
            "does not apply" => Outcome::DoesNotApply,
            other => bail!(
                "{id}: the outcome in {shown} is `{other}`, which is none of `tested`, `impossible` and `does not apply`"
            ),
        };
        for (field, text) in [
            ("subject", &file.subject),
            ("title", &file.title),
            ("source", &file.source),
            ("bug", &file.bug),
            ("text", &file.text),
        ] {
            ensure!(!text.trim().is_empty(), "{id}: `{field}` in {shown} is empty");
        }
        let is_tested = !(file.tests.is_empty() && file.sabotage.is_empty());
        ensure!(is_tested || outcome != Outcome::Tested, "{id}: {shown} says that it is tested, and names no test");
        let tests = file
            .tests
            .iter()
            .map(|test| find_test(root, test).with_context(|| format!("{id}: {shown} names the test `{test}`")));
        let tests = tests.collect::<Result<_>>()?;
        if let Some(unknown) = file.sabotage.iter().find(|name| !bugs_on_purpose.contains(name)) {
            bail!("{id}: {shown} names the bug on purpose `{unknown}`, which is not in kernel/tests/sabotage.toml");
        }
        // As the first line of a program does, the title may begin with the id.
        let title = match file.title.split_once(": ") {
            Some((other, title)) if Id::parse(other).is_some() => {
                ensure!(other == id.to_string(), "{shown} is about {other} by its title, and about {id} by its name");
                title.to_owned()
            }
            _ => file.title,
        };
        Ok(Self {
            id,
            path: path.to_owned(),
            subject: file.subject,
            title,
            source: one_line(&file.source),
            bug: file.bug.trim_end().to_owned(),
            text: file.text.trim().to_owned(),
            outcome,
            exhibit: Exhibit::Elsewhere { tests, sabotage: file.sabotage },
        })
    }
}

impl Head {
    fn parse(program: &str) -> Result<Self> {
        let (lines, _) = head_lines(program);
        ensure!(!lines.is_empty(), "there are no `//!` lines");
        let fence = |wanted: &str| lines.iter().position(|line| line.trim_end() == wanted);
        let open = fence("```c").context("there is no block ```c with the bug")?;
        let close = fence("```").context("the block ```c does not end")?;
        ensure!(open < close, "the block ```c does not end");
        let bug = lines[open + 1..close].join("\n");
        ensure!(!bug.trim().is_empty(), "the block ```c is empty");
        ensure!(lines[close + 1..].iter().all(|line| !line.starts_with("```")), "there is a second block");

        let [first, source] = &paragraphs(&lines[..open])[..] else {
            bail!("before the block ```c there are not two paragraphs: `ID, subject: what was wrong.`, and the source");
        };
        let (id, rest) = first.split_once(", ").context("the first line is not `ID, subject: what was wrong.`")?;
        let id = Id::parse(id).with_context(|| format!("`{id}` is no id such as A04"))?;
        let (subject, title) = rest.split_once(": ").with_context(|| format!("{id}: there is no `subject: `"))?;
        let is_seen = source.contains("Seen: ") || source.contains("From memory.");
        ensure!(is_seen, "{id}: the source does not say `Seen: the diff.`, `Seen: its title.` or `From memory.`");
        let text = paragraphs(&lines[close + 1..]);
        ensure!(!text.is_empty(), "{id}: there is no text behind the block ```c");
        Ok(Self {
            id,
            subject: subject.to_owned(),
            title: title.to_owned(),
            source: source.clone(),
            bug,
            text: text.join("\n\n"),
        })
    }
}

impl Program {
    fn parse(path: &Path, text: &str) -> Self {
        let (_, head) = head_lines(text);
        let mut fixtures = Vec::new();
        let mut skipped = head;
        for line in text.lines().skip(head).map(str::trim) {
            if let Some(file) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
                let name = Path::new(file).file_name().unwrap_or_default();
                if name != "prelude.rs" {
                    fixtures.push(Path::new(super::PLACE).join("fixtures").join(name));
                }
            } else if !(line.is_empty() || line.starts_with("mod ") || line.ends_with("::*;")) || line.ends_with('{') {
                break;
            }
            skipped += 1;
        }
        let code = text.lines().skip(skipped).collect::<Vec<_>>().join("\n");
        Self { path: path.to_owned(), fixtures, first_line: skipped + 1, code }
    }
}

/// The `//!` lines that a file begins with, without that mark, and how many there are.
fn head_lines(text: &str) -> (Vec<&str>, usize) {
    let head = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = head.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let count = lines.len();
    (lines, count)
}

/// The paragraphs of some lines, each as one line.
fn paragraphs(lines: &[&str]) -> Vec<String> {
    let paragraphs = lines.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty());
    paragraphs.map(|lines| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The id that a file's name begins with.
fn id_of(path: &Path) -> Result<Id> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let id = stem.split_once('_').and_then(|(id, _)| Id::parse(&id.to_uppercase()));
    id.with_context(|| format!("{} is not called `a04_subject`", path.display()))
}

fn same_id(path: &Path, id: &Id) -> Result<()> {
    let named = id_of(path)?;
    ensure!(named == *id, "{} is about {id} by its head, and about {named} by its name", path.display());
    Ok(())
}

/// Where the corrected version of a program is.
fn twin_of(path: &Path) -> PathBuf {
    Path::new(super::PLACE).join("fixed").join(path.file_name().unwrap_or_default())
}

/// The lines of the program at `path` that errors in a message of the compiler point to.
fn lines_of_errors(message: &str, path: &Path) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut is_error = false;
    for line in message.lines() {
        if !line.starts_with([' ', '|', '.']) && !line.is_empty() && !line.starts_with(|c: char| c.is_ascii_digit()) {
            is_error = line.starts_with("error");
        } else if let Some(place) = line.trim_start().strip_prefix("--> ").filter(|_| is_error) {
            let mut place = place.split(':');
            let is_here = place.next().is_some_and(|file| Path::new(file) == path);
            lines.extend(place.next().and_then(|line| line.parse::<usize>().ok()).filter(|_| is_here));
        }
    }
    lines
}

/// A test by `path::function`, which has to be in that file.
fn find_test(root: &Path, test: &str) -> Result<(PathBuf, String)> {
    let (path, function) = test.split_once("::").context("which is not `path::function`")?;
    let text = fs::read_to_string(root.join(path)).with_context(|| format!("and {path} cannot be read"))?;
    let name = function.rsplit("::").next().unwrap_or(function);
    let is_there = text.match_indices(&format!("fn {name}")).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && matches!(after, Some('(' | '<'))
    });
    ensure!(is_there, "and {path} has no such function");
    Ok((path.into(), function.to_owned()))
}

fn read(root: &Path, path: &Path) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
//! A04, pktcdvd: both unmaps were
//! given pages.
//!
//! Linux, `pktcdvd.c`, 2004. Fixed in 5ec97f0e00
//! (history before git). Seen: the diff.
//!
//! ```c
//! v = kmap_atomic(pages[i], KM_USER0);
//!
//!     memcpy(dst, v, n);
//! ```
//!
//! It lived on.
//! For years.
//!
//! Here it does not.
#[path = \"../prelude.rs\"]
mod prelude;
use prelude::*;

fn main() {}
";

    #[test]
    fn a_head_has_its_parts() {
        let head = Head::parse(GOOD).unwrap();
        assert_eq!(head.id.to_string(), "A04");
        assert_eq!((&*head.subject, &*head.title), ("pktcdvd", "both unmaps were given pages."));
        assert_eq!(head.source, "Linux, `pktcdvd.c`, 2004. Fixed in 5ec97f0e00 (history before git). Seen: the diff.");
        assert_eq!(head.bug, "v = kmap_atomic(pages[i], KM_USER0);\n\n    memcpy(dst, v, n);");
        assert_eq!(head.text, "It lived on. For years.\n\nHere it does not.");
    }

    #[test]
    fn a_program_is_shown_from_its_first_own_line_on() {
        let program = Program::parse(Path::new("a04_pktcdvd.rs"), GOOD);
        assert_eq!((program.first_line, program.code.as_str()), (21, "fn main() {}"));
        assert!(program.fixtures.is_empty());
        let fixture = "use prelude::*;\n#[path = \"../fixtures/bio.rs\"]\nmod bio;\nuse bio::*;\nuse std::mem;";
        let program = Program::parse(Path::new("a04_pktcdvd.rs"), &GOOD.replace("use prelude::*;", fixture));
        assert_eq!((program.first_line, program.code.as_str()), (23, "use std::mem;\n\nfn main() {}"));
        assert_eq!(program.fixtures, [Path::new("ui-tests/museum/fixtures/bio.rs")]);
    }

    #[test]
    fn each_mistake_in_a_head_is_named() {
        let error = |find: &str, replace: &str| {
            assert_eq!(GOOD.matches(find).count(), 1, "`{find}`");
            Head::parse(&GOOD.replace(find, replace)).unwrap_err().to_string()
        };
        let not_two =
            "before the block ```c there are not two paragraphs: `ID, subject: what was wrong.`, and the source";
        assert_eq!(Head::parse("fn main() {}").unwrap_err().to_string(), "there are no `//!` lines");
        assert_eq!(error("A04, pktcdvd", "A4, pktcdvd"), "`A4` is no id such as A04");
        assert_eq!(error("A04, pktcdvd", "a04, pktcdvd"), "`a04` is no id such as A04");
        assert_eq!(error("A04, ", "A04 "), "the first line is not `ID, subject: what was wrong.`");
        assert_eq!(error("pktcdvd: ", "pktcdvd "), "A04: there is no `subject: `");
        assert_eq!(error("given pages.\n//!\n", "given pages.\n"), not_two);
        assert_eq!(error("diff.\n//!\n", "diff.\n//!\n//! And more.\n//!\n"), not_two);
        assert_eq!(error("```c\n", "```\n"), "there is no block ```c with the bug");
        assert_eq!(error("//! ```\n", ""), "the block ```c does not end");
        assert_eq!(error("For years.", "```"), "there is a second block");
        assert_eq!(
            error("Seen: the diff.", ""),
            "A04: the source does not say `Seen: the diff.`, `Seen: its title.` or `From memory.`"
        );
        let no_text = error("//! It lived on.\n//! For years.\n//!\n//! Here it does not.\n", "");
        assert_eq!(no_text, "A04: there is no text behind the block ```c");
        let empty = error("//! v = kmap_atomic(pages[i], KM_USER0);\n//!\n//!     memcpy(dst, v, n);\n", "//!\n");
        assert_eq!(empty, "the block ```c is empty");
    }

    #[test]
    fn the_lines_of_errors_are_those_of_the_program() {
        let message = "\
error[E0382]: use of moved value
  --> ui-tests/museum/c01.rs:12:34
   |
11 |         one
   |         --- value moved here
note: method
  --> ui-tests/museum/c01.rs:9:1
error: another
  --> src/atomic.rs:3:1
   ::: ui-tests/museum/c01.rs:8:1
error[E0277]: third
  --> ui-tests/museum/c01.rs:14:1
";
        assert_eq!(lines_of_errors(message, Path::new("ui-tests/museum/c01.rs")), [12, 14]);
    }

    #[test]
    fn ids_are_a_letter_and_two_digits() {
        assert_eq!(Id::parse("V01").unwrap().letter(), "V");
        for bad in ["", "A", "A1", "A001", "a01", "AB1", "É1"] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
        assert!(id_of(Path::new("museum/a04_pktcdvd.rs")).is_ok());
        for bad in ["museum/a04.rs", "museum/pktcdvd.rs", "museum/x_a04.rs"] {
            assert!(id_of(Path::new(bad)).unwrap_err().to_string().ends_with("is not called `a04_subject`"));
        }
    }

    #[test]
    fn tests_are_looked_for_by_name() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("t.rs"), "#[test]\nfn one_two() {}\nfn generic<T>() {}\n").unwrap();
        assert_eq!(find_test(root.path(), "t.rs::one_two").unwrap(), ("t.rs".into(), "one_two".to_owned()));
        assert!(find_test(root.path(), "t.rs::inner::generic").is_ok());
        let why = |test| find_test(root.path(), test).unwrap_err().to_string();
        assert_eq!(why("t.rs::one"), "and t.rs has no such function");
        assert_eq!(why("t.rs::two"), "and t.rs has no such function");
        assert_eq!(why("u.rs::one_two"), "and u.rs cannot be read");
        assert_eq!(why("t.rs"), "which is not `path::function`");
    }
}
