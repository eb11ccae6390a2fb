//! The museum: mistakes that kernels really made, in Rust, and what becomes of each.
//!
//! `ui-tests/museum` has those that the compiler refuses, each with its message; `caught` those that compile and end at run time
//! in a defined way, which their `main` asserts; `harmless` those that are right here. What is refused or caught has a
//! twin of the same name in `fixed`: the same thing done right. `elsewhere` has what no program shows.
//!
//! `TRYBUILD=overwrite` records the messages anew, `UI_PART` is as in `tests/ui.rs`.

mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use recorded::{Part, check_compiler, names};

#[test]
fn refused_and_accepted() {
    check_compiler();
    let part = Part::asked_for();
    let of_this_part = |directory: &str, names| part.of(names, Path::new("ui-tests/museum").join(directory));
    let cases = trybuild::TestCases::new();
    for directory in ["fixed", "caught", "harmless"] {
        of_this_part(directory, exhibits(directory)).for_each(|path| cases.pass(path));
    }
    of_this_part("", exhibits("")).for_each(|path| cases.compile_fail(path));
}

#[test]
fn each_message_is_recorded() {
    assert!(!exhibits("").is_empty());
    assert_eq!(exhibits(""), files("", "stderr"));
}

#[test]
fn each_mistake_has_a_twin() {
    let wrong: BTreeSet<_> = exhibits("").into_iter().chain(exhibits("caught")).collect();
    assert_eq!(wrong, exhibits("fixed"));
}

#[test]
fn each_bug_is_there_once() {
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (directory, extension) in [("", "rs"), ("caught", "rs"), ("harmless", "rs"), ("elsewhere", "toml")] {
        for name in if extension == "rs" { exhibits(directory) } else { files(directory, extension) } {
            let place = format!("{directory}/{name}.{extension}");
            let (id, _) = name.split_once('_').unwrap_or_else(|| panic!("{place} is not named as in `a04_subject`"));
            let is_id = matches!(id.as_bytes(), [b'a'..=b'z', b'0'..=b'9', b'0'..=b'9']);
            assert!(is_id, "{place} does not begin with an id such as `a04`");
            if extension == "rs" {
                let head = format!("//! {}, ", id.to_uppercase());
                let text = fs::read_to_string(museum().join(&place[usize::from(directory.is_empty())..]));
                assert!(text.expect("a program is text").starts_with(&head), "{place} does not begin with `{head}`");
            }
            if let Some(other) = places.insert(id.to_owned(), place.clone()) {
                panic!("{id} is there twice: {other} and {place}");
            }
        }
    }
}

/// The programs in a directory of the museum.
fn exhibits(directory: &str) -> BTreeSet<String> {
    let mut names = files(directory, "rs");
    if directory.is_empty() {
        assert!(names.remove("prelude"), "the prelude is among those that are refused");
    }
    names
}

fn museum() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests/museum")
}

/// The names of the files with that extension in a directory of the museum. None if it is not there: it has nothing yet.
fn files(directory: &str, extension: &str) -> BTreeSet<String> {
    if museum().join(directory).exists() {
        names(Path::new("museum").join(directory), extension)
    } else {
        BTreeSet::new()
    }
}
