//! Whether the code of the pages is that of programs, and the compiler's messages are those that were recorded.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::DOCS;
use super::page::Page;

/// Where programs are that the tests compile and run. The README's own are doc tests.
const PROGRAMS: [&str; 5] = ["tests", "examples", "kernel", "template", "ui-tests"];

/// Where messages of the compiler are recorded.
const MESSAGES: &str = "ui-tests";

/// The number of blocks of Rust, and a fault for each that is in no program. Parts of a block, between empty lines and `// ..`, may stand
/// in different places.
pub fn rust(root: &Path, pages: &[Page]) -> Result<(usize, Vec<String>)> {
    let mut programs = Vec::new();
    for folder in PROGRAMS.iter().map(|folder| root.join(folder)).filter(|folder| folder.exists()) {
        collect(&folder, "rs", &mut programs)?;
    }
    let programs: Vec<String> = programs.iter().map(|text| format!("\n{}\n", trimmed(text))).collect();
    let is_program = |part: &str| programs.iter().any(|program| program.contains(&format!("\n{part}\n")));
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages.iter().filter(|page| page.path.starts_with(DOCS)) {
        for block in page.blocks().iter().filter(|block| block.info.starts_with("rust")) {
            count += 1;
            let text = trimmed(&block.text).replace("\n// ..\n", "\n\n");
            let strange = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty() && !is_program(part));
            faults.extend(strange.map(|part| page.fault(block.line, &format!("in no program of the tests:\n{part}"))));
        }
    }
    Ok((count, faults))
}

/// The number of blocks that are messages of the compiler, and a fault for each that was not recorded so. A message may leave out lines.
pub fn messages(root: &Path, pages: &[Page]) -> Result<(usize, Vec<String>)> {
    let mut recorded = Vec::new();
    collect(&root.join(MESSAGES), "stderr", &mut recorded)?;
    let recorded: Vec<Vec<String>> = recorded.iter().map(|text| lines(text)).collect();
    let mut count = 0;
    let mut faults = Vec::new();
    // Messages of long ago are what `messages.md` is about.
    let is_history = |page: &&Page| page.path.ends_with("messages.md");
    for page in pages.iter().filter(|page| !is_history(page)) {
        for block in page.blocks().iter().filter(|block| block.info == "text" && block.text.starts_with("error")) {
            count += 1;
            let quoted = lines(&block.text);
            if !recorded.iter().any(|recorded| is_within(&quoted, recorded)) {
                let first = quoted.first().map(String::as_str).unwrap_or_default();
                faults.push(page.fault(block.line, &format!("no such message is recorded in {MESSAGES}/: {first}")));
            }
        }
    }
    Ok((count, faults))
}

/// Whether all lines of `part` are in `whole`, in this order.
fn is_within(part: &[String], whole: &[String]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|line| whole.any(|other| other == line))
}

/// The lines of a message without the numbers of the program's lines, of which a page shows but some.
fn lines(message: &str) -> Vec<String> {
    let bare = |line: &str| {
        let line = line.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ');
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    message.lines().map(bare).filter(|line| !line.is_empty()).collect()
}

/// Each line without the space around it.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

/// The texts of all files of this kind below `folder`; what was built is left out.
fn collect(folder: &Path, extension: &str, texts: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, extension, texts)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            texts.push(fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn page(text: &str) -> [Page; 1] {
        [Page { path: "docs/one.md".into(), text: text.to_owned() }]
    }

    #[test]
    fn code_that_is_in_no_program_is_shown() {
        let root = tree(&[("tests/a/b.rs", "mod m {\n    fn a() {\n        b();\n    }\n\n    fn c() {}\n}\n")]);
        let faults = |text: &str| rust(root.path(), &page(text)).unwrap();
        assert_eq!(faults("```rust\nfn a() {\n    b();\n}\n\nfn c() {}\n```\n"), (1, vec![]));
        assert_eq!(faults("```rust\nfn a() {\n    // ..\n}\n```\n```c\nint a;\n```\n"), (1, vec![]));
        let (count, found) = faults("text\n\n```rust,ignore\nfn a() {\n    c();\n}\n```\n");
        assert_eq!((count, found.len()), (1, 1));
        assert!(found[0].starts_with("docs/one.md:3: in no program"), "{found:?}");
        assert_eq!(faults("```rust\nfn c() {\n```\n").1.len(), 1, "half a line");
    }

    #[test]
    fn messages_that_the_compiler_did_not_say_are_named() {
        let message = "error[E0277]: no\n  --> a.rs:12:3\n   |\n12 |     a(b);\n   |     ^ why\n   = note: do\n";
        let root = tree(&[("ui-tests/fail/a.stderr", message)]);
        let faults = |text: &str| messages(root.path(), &page(text)).unwrap().1.len();
        assert_eq!(faults("```text\nerror[E0277]: no\n   |\n7  |  a(b);\n   |     ^ why\n```\n"), 0);
        assert_eq!(faults("```text\nerror[E0277]: no\n   = note: do not\n```\n"), 1);
        assert_eq!(faults("```text\nerror[E0277]: no\n   = note: do\n   |     ^ why\n```\n"), 1, "another order");
        assert_eq!(faults("```text\nsomething else\n```\n"), 0);
    }
}
