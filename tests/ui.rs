//! What must not compile, and what must: `ui-tests/`.
//!
//! Each case of `ui-tests/fail` has the compiler's message beside it, and a twin of the same name in `ui-tests/pass` that does
//! the same thing right, so that it fails for the reason it states. `TRYBUILD=overwrite` records the messages anew.
//!
//! Each program of `ui-tests/attacks` tries to get around the types in safe code. Its lines that end in `// attack` are the
//! attempt: without them it must compile and run, with them it must not compile.
//!
//! `UI_PART=1/2` looks at the first half of the programs only, for several runs side by side, each with a `CARGO_TARGET_DIR` of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler whose messages are recorded.
const RECORDED: &str = include_str!("../ui-tests/RUSTC_VERSION").trim_ascii();

#[test]
fn misuse_does_not_compile_and_use_does() {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(&rustc).arg("--version").output().expect("rustc runs").stdout;
    let version = String::from_utf8(version).expect("rustc prints text");
    assert!(
        version.starts_with(&format!("rustc {RECORDED}.")),
        "the messages in ui-tests/ are those of rustc {RECORDED}, and this is {version}\
         use that compiler (RUSTUP_TOOLCHAIN={RECORDED}), or record the messages anew: write this version to \
         ui-tests/RUSTC_VERSION and run with TRYBUILD=overwrite"
    );

    let part = std::env::var("UI_PART").unwrap_or("1/1".to_owned());
    let (part, parts) = part.split_once('/').expect("UI_PART is a part and the number of parts, such as 1/2");
    let [part, parts]: [usize; 2] = [part, parts].map(|number| number.parse().expect("UI_PART is two numbers"));
    assert!((1..=parts).contains(&part), "UI_PART {part}/{parts} is no part");

    let ui_tests = Path::new("ui-tests");
    let of_this_part = |directory: PathBuf, kind: &str| {
        let names = names(kind, "rs").into_iter().skip(part - 1).step_by(parts);
        names.map(move |name| directory.join(format!("{name}.rs")))
    };
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

/// The names of the files of a directory of `ui-tests`.
fn names(directory: &str, extension: &str) -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests").join(directory);
    let files = directory.read_dir().expect("the directory is there");
    let paths = files.map(|file| file.expect("a file of the directory").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned()).collect()
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
