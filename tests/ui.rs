//! What must not compile, and what must: `ui-tests/`.
//!
//! Each case of `ui-tests/fail` has the compiler's message beside it, and a twin of the same name in `ui-tests/pass` that does
//! the same thing right, so that it fails for the reason it states. `TRYBUILD=overwrite` records the messages anew.
//!
//! Each program of `ui-tests/attacks` tries to get around the types in safe code. Its lines that end in `// attack` are the
//! attempt: without them it must compile and run, with them it must not compile.
//!
//! `UI_PART=1/2` looks at the first half of the programs only, for several runs side by side, each with a `CARGO_TARGET_DIR` of its own.

mod recorded;

use std::fs;
use std::path::{Path, PathBuf};

use recorded::{Part, check_compiler, names};

#[test]
fn misuse_does_not_compile_and_use_does() {
    check_compiler();
    let part = Part::asked_for();
    let ui_tests = Path::new("ui-tests");
    let of_this_part = |directory: PathBuf, kind: &str| part.of(names(kind, "rs"), directory);
    let cases = trybuild::TestCases::new();
    of_this_part(ui_tests.join("pass"), "pass").for_each(|path| cases.pass(path));
    of_this_part(ui_tests.join("fail"), "fail").for_each(|path| cases.compile_fail(path));
    of_this_part(without_the_attacks(), "attacks").for_each(|path| cases.pass(path));
    of_this_part(ui_tests.join("attacks"), "attacks").for_each(|path| cases.compile_fail(path));
}

/// Writes the programs of `ui-tests/attacks` without their attacks, and says where.
fn without_the_attacks() -> PathBuf {
    let ui_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = target.join("attacks");
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("the programs of the last run can go");
    }
    fs::create_dir_all(&directory).expect("a directory can be made");
    fs::copy(ui_tests.join("prelude.rs"), target.join("prelude.rs")).expect("the prelude is there");
    for name in names("attacks", "rs") {
        let file = format!("{name}.rs");
        let program = fs::read_to_string(ui_tests.join("attacks").join(&file)).expect("a program is text");
        let (attacks, rest): (Vec<&str>, Vec<&str>) = program.lines().partition(|line| line.ends_with(" // attack"));
        assert!(!attacks.is_empty(), "{file} has no line that ends in `// attack`");
        fs::write(directory.join(&file), rest.join("\n")).expect("a program can be written");
    }
    directory
}

#[test]
fn each_misuse_has_a_passing_twin_and_a_recorded_message() {
    let misuses = names("fail", "rs");
    assert!(!misuses.is_empty());
    assert_eq!(misuses, names("pass", "rs"));
    assert_eq!(misuses, names("fail", "stderr"));
    assert!(!names("attacks", "rs").is_empty());
    assert_eq!(names("attacks", "rs"), names("attacks", "stderr"));
}

#[test]
fn the_readme_quotes_the_compiler() {
    let readme = include_str!("../README.md");
    let message = include_str!("../ui-tests/fail/unmap_a_page.stderr");
    let (_, quote) = readme.split_once("```text\nerror").expect("the README quotes an error");
    let (quote, _) = quote.split_once("```").expect("the quotation ends");
    for line in format!("error{quote}").lines() {
        assert!(message.lines().any(|said| said == line), "the compiler does not say `{line}`");
    }
}

#[test]
fn the_page_about_messages_quotes_the_compiler() {
    let page = include_str!("../docs/messages.md");
    let quotes: Vec<&str> = page.split("Now (`").skip(1).collect();
    assert_eq!(quotes.len(), 10);
    for quote in quotes {
        let (file, rest) = quote.split_once('`').expect("a file's name ends");
        let (_, rest) = rest.split_once("```text\n").expect("the file is quoted");
        let (quote, _) = rest.split_once("```").expect("the quotation ends");
        let message = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the file is there");
        let quote = quote.strip_suffix("...\n").unwrap_or(quote);
        assert!(message.starts_with(quote), "{file} does not begin as it is quoted");
    }
}
