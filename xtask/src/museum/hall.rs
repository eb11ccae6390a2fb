//! All cases, by class, and what each must have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::PLACE;
use super::case::{Case, Id, Outcome};

/// The file with the classes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    class: Vec<Listed>,
}

/// A class as it is listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    letter: String,
    title: String,
    text: String,
    ids: Vec<String>,
}

/// A class, and its cases in the order of their numbers.
pub struct Class {
    pub letter: String,
    pub title: String,
    pub text: String,
    pub cases: Vec<Case>,
}

impl Class {
    /// How many of its cases have that outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cases.iter().filter(|case| case.outcome == outcome).count()
    }
}

/// Reads the museum of the workspace at `root`, in which there are these bugs on purpose. Each case that is listed has one exhibit.
pub fn read(root: &Path, bugs_on_purpose: &[String]) -> Result<Vec<Class>> {
    let list = format!("{PLACE}/classes.toml");
    let text = fs::read_to_string(root.join(&list)).with_context(|| format!("cannot read {list}"))?;
    let file: File = toml::from_str(&text).with_context(|| list.clone())?;
    let classes = listed(&file).with_context(|| list.clone())?;
    let mut cases = cases(root, bugs_on_purpose)?;
    let missing: Vec<String> = classes.iter().filter(|id| !cases.contains_key(id)).map(Id::to_string).collect();
    ensure!(missing.is_empty(), "{PLACE} has no exhibit for {}, by {list}", missing.join(", "));
    if let Some(case) = cases.values().find(|case| !classes.contains(&case.id)) {
        bail!("{} has an exhibit, {}, and is not in {list}", case.id, case.path.display());
    }
    let with_cases = |Listed { letter, title, text, mut ids }: Listed| {
        ids.sort();
        let cases = ids.iter().filter_map(|id| cases.remove(&Id::parse(id)?)).collect();
        Class { letter, title, text, cases }
    };
    Ok(file.class.into_iter().map(with_cases).collect())
}

/// The ids of all classes. None is in two, or in that of another letter.
fn listed(file: &File) -> Result<BTreeSet<Id>> {
    let mut letters = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for class in &file.class {
        let letter = &class.letter;
        let is_letter = matches!(letter.as_bytes(), [b'A'..=b'Z']);
        ensure!(is_letter, "`{letter}` is no letter of a class");
        ensure!(letters.insert(letter), "class {letter} is there twice");
        ensure!(letters.last() == Some(&letter), "class {letter} is not in the order of the alphabet");
        ensure!(!class.ids.is_empty(), "class {letter} is empty");
        for id in &class.ids {
            let id = Id::parse(id).with_context(|| format!("class {letter}: `{id}` is no id such as A04"))?;
            ensure!(id.letter() == letter, "{id} is not of class {letter}");
            ensure!(ids.insert(id.clone()), "{id} is there twice");
        }
    }
    Ok(ids)
}

/// All exhibits. None is there twice, and no message or corrected version is left without its program.
fn cases(root: &Path, bugs_on_purpose: &[String]) -> Result<BTreeMap<Id, Case>> {
    let mut cases: BTreeMap<Id, Case> = BTreeMap::new();
    let mut add = |case: Case| {
        if let Some(other) = cases.get(&case.id) {
            bail!("{} has two exhibits: {} and {}", case.id, other.path.display(), case.path.display());
        }
        cases.insert(case.id.clone(), case);
        Ok(())
    };
    let mut names = BTreeSet::new();
    for (directory, outcome) in [("", Outcome::Refused), ("caught", Outcome::Caught), ("harmless", Outcome::Harmless)] {
        for path in files(root, directory, "rs")?.into_iter().filter(|path| !path.ends_with("prelude.rs")) {
            add(Case::of_program(root, &path, outcome)?)?;
            names.insert(path.file_name().map(PathBuf::from));
        }
    }
    for path in files(root, "elsewhere", "toml")? {
        add(Case::elsewhere(root, &path, bugs_on_purpose)?)?;
    }
    for message in files(root, "", "stderr")? {
        let program = message.with_extension("rs");
        ensure!(root.join(&program).is_file(), "{} is the message about no program", message.display());
    }
    for twin in files(root, "fixed", "rs")? {
        ensure!(names.contains(&twin.file_name().map(PathBuf::from)), "{} corrects no program", twin.display());
    }
    Ok(cases)
}

/// The files with that extension in a directory of the museum, from `root`, in the order of their names. None if it is not there.
fn files(root: &Path, directory: &str, extension: &str) -> Result<BTreeSet<PathBuf>> {
    let directory = Path::new(PLACE).join(directory);
    if !root.join(&directory).exists() {
        return Ok(BTreeSet::new());
    }
    let entries =
        fs::read_dir(root.join(&directory)).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files = BTreeSet::new();
    for entry in entries {
        let path = directory.join(entry?.file_name());
        if path.extension().is_some_and(|found| found == extension) && root.join(&path).is_file() {
            files.insert(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &str = "[[class]]\nletter = 'A'\ntitle = 'One'\ntext = 'Text.'\nids = ['A02', 'A01']\n\
                           [[class]]\nletter = 'C'\ntitle = 'Two'\ntext = 'Text.'\nids = ['C01']\n";

    const ELSEWHERE: &str = "outcome = 'tested'\nsubject = 's'\ntitle = 't'\nsource = 'Seen: the diff.'\nbug = 'b'\ntext = 't'\n\
                             tests = ['src/t.rs::one']\nsabotage = ['no-flush']\n";

    fn program(id: &str) -> String {
        format!(
            "//! {id}, driver: wrong.\n//!\n//! Linux. Seen: the diff.\n//!\n//! ```c\n//! c;\n//! ```\n//!\n//! Text.\nfn main() {{}}\n"
        )
    }

    /// A museum that is as it should be, and then changes: files with their new text, or removed.
    fn museum(changes: &[(&str, Option<&str>)]) -> Result<Vec<Class>> {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let place = |path: &str| format!("{PLACE}/{path}");
        write("src/t.rs", "fn one() {}");
        write(&place("classes.toml"), CLASSES);
        write(&place("prelude.rs"), "//! No case.\n");
        write(&place("a01_driver.rs"), &program("A01"));
        write(&place("a01_driver.stderr"), "error: no\n --> ui-tests/museum/a01_driver.rs:10:4\n");
        write(&place("fixed/a01_driver.rs"), "//! Right.\nfn main() {}\n");
        write(&place("harmless/a02_driver.rs"), &program("A02"));
        write(&place("elsewhere/c01_driver.toml"), ELSEWHERE);
        for (path, text) in changes {
            match text {
                Some(text) => write(&place(path), text),
                None => fs::remove_file(root.path().join(place(path))).unwrap(),
            }
        }
        read(root.path(), &["no-flush".to_owned()])
    }

    fn error(changes: &[(&str, Option<&str>)]) -> String {
        format!("{:#}", museum(changes).err().expect("something is wrong"))
    }

    #[test]
    fn each_class_has_its_cases() {
        let classes = museum(&[]).unwrap();
        let ids = |class: &Class| class.cases.iter().map(|case| case.id.to_string()).collect::<Vec<_>>();
        assert_eq!(classes.iter().map(ids).collect::<Vec<_>>(), [vec!["A01", "A02"], vec!["C01"]]);
        assert_eq!(classes[0].count(Outcome::Refused), 1);
        assert_eq!(classes[0].count(Outcome::Harmless), 1);
        assert_eq!(classes[1].count(Outcome::Tested), 1);
        assert_eq!(classes[1].count(Outcome::Refused), 0);
    }

    #[test]
    fn a_case_that_is_missing_or_double_is_named() {
        assert_eq!(
            error(&[("elsewhere/c01_driver.toml", None)]),
            "ui-tests/museum has no exhibit for C01, by ui-tests/museum/classes.toml"
        );
        assert_eq!(
            error(&[("harmless/a01_again.rs", Some(&program("A01")))]),
            "A01 has two exhibits: ui-tests/museum/a01_driver.rs and ui-tests/museum/harmless/a01_again.rs"
        );
        assert_eq!(
            error(&[("harmless/a03_more.rs", Some(&program("A03")))]),
            "A03 has an exhibit, ui-tests/museum/harmless/a03_more.rs, and is not in ui-tests/museum/classes.toml"
        );
        assert_eq!(
            error(&[("harmless/a02_driver.rs", Some(&program("A01")))]),
            "ui-tests/museum/harmless/a02_driver.rs is about A01 by its head, and about A02 by its name"
        );
    }

    #[test]
    fn a_mistake_in_the_classes_is_named() {
        let list = |find: &str, replace: &str| {
            let text = error(&[("classes.toml", Some(&CLASSES.replace(find, replace)))]);
            text.strip_prefix("ui-tests/museum/classes.toml: ").expect("it names the file").to_owned()
        };
        assert_eq!(list("'A02'", "'C02'"), "C02 is not of class A");
        assert_eq!(list("'A02'", "'A01'"), "A01 is there twice");
        assert_eq!(list("'A02'", "'A2'"), "class A: `A2` is no id such as A04");
        assert_eq!(list("letter = 'C'", "letter = 'A'"), "class A is there twice");
        assert_eq!(list("letter = 'A'", "letter = 'D'").as_str(), "A02 is not of class D");
        assert_eq!(list("letter = 'A'", "letter = 'a'"), "`a` is no letter of a class");
        assert_eq!(list("ids = ['C01']", "ids = []"), "class C is empty");
    }

    #[test]
    fn a_file_that_a_program_needs_is_missed() {
        let message = error(&[("a01_driver.stderr", None)]);
        assert_eq!(
            message.split(" (os error").next().unwrap(),
            "A01 has no message of the compiler: cannot read ui-tests/museum/a01_driver.stderr: No such file or directory"
        );
        assert_eq!(
            error(&[("fixed/a01_driver.rs", None)]),
            "A01 has no twin that is right: ui-tests/museum/fixed/a01_driver.rs is missing"
        );
        assert_eq!(
            error(&[("fixed/a01_driver.rs", Some("fn main() {}"))]),
            "A01: ui-tests/museum/fixed/a01_driver.rs does not say in a `//!` line how it is right"
        );
        assert_eq!(
            error(&[("fixed/a09_other.rs", Some("//! Right."))]),
            "ui-tests/museum/fixed/a09_other.rs corrects no program"
        );
        assert_eq!(
            error(&[("a09_other.stderr", Some("error"))]),
            "ui-tests/museum/a09_other.stderr is the message about no program"
        );
        assert_eq!(
            error(&[("a01_driver.stderr", Some("warning: unused"))]),
            "A01: ui-tests/museum/a01_driver.stderr does not begin with an error"
        );
        assert_eq!(
            error(&[("a01_driver.rs", Some("fn main() {}"))]),
            "ui-tests/museum/a01_driver.rs: its head: there are no `//!` lines"
        );
    }

    #[test]
    fn what_a_case_elsewhere_names_has_to_be_there() {
        let c01 = |find: &str, replace: &str| {
            assert!(ELSEWHERE.contains(find));
            error(&[("elsewhere/c01_driver.toml", Some(&ELSEWHERE.replace(find, replace)))])
        };
        let path = "ui-tests/museum/elsewhere/c01_driver.toml";
        assert_eq!(
            c01("t.rs::one", "t.rs::two"),
            format!("C01: {path} names the test `src/t.rs::two`: and src/t.rs has no such function")
        );
        assert_eq!(
            c01("no-flush", "no-clear"),
            format!("C01: {path} names the bug on purpose `no-clear`, which is not in kernel/tests/sabotage.toml")
        );
        assert_eq!(
            c01("'tested'", "'fine'"),
            format!(
                "C01: the outcome in {path} is `fine`, which is none of `tested`, `impossible` and `does not apply`"
            )
        );
        assert_eq!(
            c01("tests = ['src/t.rs::one']\nsabotage = ['no-flush']\n", ""),
            format!("C01: {path} says that it is tested, and names no test")
        );
        assert_eq!(
            c01("title = 't'", "title = 'C02: t'"),
            format!("{path} is about C02 by its title, and about C01 by its name")
        );
        let titled = ELSEWHERE.replace("title = 't'", "title = 'C01: t'");
        let classes = museum(&[("elsewhere/c01_driver.toml", Some(&titled))]).unwrap();
        assert_eq!(classes[1].cases[0].title, "t");
        assert_eq!(c01("bug = 'b'", "bug = ' '"), format!("C01: `bug` in {path} is empty"));
        assert!(c01("bug = 'b'\n", "").starts_with(path));
    }
}
