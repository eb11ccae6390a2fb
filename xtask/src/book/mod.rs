//! `cargo xtask book`: the pages in `docs/` as a book for the browser, built by mdBook.
//!
//! mdBook believes what the pages say. Here they are read first: links have to lead somewhere, in the files and in what was built of them;
//! code has to be that of a program which the tests run; the compiler's messages have to be recorded ones; and commands have to exist.

mod code;
mod commands;
mod html;
mod links;
mod page;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{self, End};
use crate::say;
use crate::workspace::Workspace;
use page::Page;

/// Where the pages are.
const DOCS: &str = "docs";

/// The mdBook that the book is built with.
const MDBOOK: &str = "0.5.2";

/// Checks the pages, builds the book, checks that. `true`: nothing is wrong.
pub fn run() -> Result<bool> {
    let workspace = Workspace::open()?;
    say::heading("Book");
    let found = check(&workspace)?;
    found.passed.iter().for_each(|what| say::pass(what));
    found.faults.iter().for_each(|what| say::fail(what));
    let good = found.faults.is_empty();
    let verdict = if good { "book: PASS".to_owned() } else { format!("book: FAIL ({} faults)", found.faults.len()) };
    say::verdict(good, &verdict);
    if good {
        say::note(&format!("to read it: {}", index(&workspace).display()));
    }
    Ok(good)
}

/// What is right with the book, and what is not.
pub struct Found {
    /// A line for each check without faults.
    pub passed: Vec<String>,
    /// A line for each fault.
    pub faults: Vec<String>,
}

impl Found {
    fn add(&mut self, what: &str, (count, faults): (usize, Vec<String>)) {
        if faults.is_empty() {
            self.passed.push(format!("{count} {what}"));
        }
        self.faults.extend(faults);
    }
}

/// Reads the pages, builds the book and reads that.
pub fn check(workspace: &Workspace) -> Result<Found> {
    let root = &workspace.root;
    let pages = page::read(root, DOCS)?;
    let mut found = Found { passed: Vec::new(), faults: Vec::new() };
    found.add("pages have their place in docs/SUMMARY.md", in_summary(&pages)?);
    found.add("links lead somewhere", links::check(root, &pages));
    found.add("blocks of Rust are in programs that the tests run", code::rust(root, &pages)?);
    found.add("messages of the compiler are recorded ones", code::messages(root, &pages)?);
    found.add(
        "commands are there, and a step of the tests runs them or it says why not",
        commands::check(workspace, &pages)?,
    );
    if !found.faults.is_empty() {
        return Ok(found);
    }
    let place = build(workspace)?;
    links::copy_sources(root, &pages, &site(workspace))?;
    found.add("links of the built book lead somewhere", html::check(&place)?);
    Ok(found)
}

/// Where the book is built: a tree as that of the repository, so that links to sources lead to copies of them.
fn site(workspace: &Workspace) -> PathBuf {
    workspace.target.join("book")
}

fn index(workspace: &Workspace) -> PathBuf {
    site(workspace).join(DOCS).join("index.html")
}

/// The number of pages in the summary, and a fault for each page that is not there. mdBook itself looks for what is there too much.
fn in_summary(pages: &[Page]) -> Result<(usize, Vec<String>)> {
    let summary = Path::new(DOCS).join("SUMMARY.md");
    let page = pages.iter().find(|page| page.path == summary).context("there is no docs/SUMMARY.md")?;
    let named: BTreeSet<PathBuf> =
        page.links().into_iter().map(|link| Path::new(DOCS).join(link.destination)).collect();
    let all = pages.iter().filter(|page| page.path.starts_with(DOCS) && page.path != summary);
    let left_out = all.filter(|page| !named.contains(&page.path));
    let fault = |page: &Page| format!("{} is not in docs/SUMMARY.md", page.path.display());
    Ok((named.len(), left_out.map(fault).collect()))
}

/// Has mdBook build the book; the result is where it is.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mdbook = mdbook(workspace)?;
    let site = site(workspace);
    if site.exists() {
        fs::remove_dir_all(&site).with_context(|| format!("cannot remove {}", site.display()))?;
    }
    let place = site.join(DOCS);
    let mut command = Command::new(mdbook);
    command.arg("build").arg(workspace.root.join(DOCS)).arg("--dest-dir").arg(&place).stderr(Stdio::piped());
    let mut lines = Vec::new();
    let end =
        process::stream(&mut command, None, |_, line| lines.push(line.to_owned())).context("cannot run mdbook")?;
    let bad: Vec<&String> = lines.iter().filter(|line| is_complaint(line)).collect();
    if !bad.is_empty() || !matches!(end, End::Exited(status) if status.success()) {
        lines.iter().for_each(|line| say::guest(line));
        bail!("mdbook has something to say about the pages; it is above");
    }
    Ok(place)
}

/// Whether a line of mdBook's is a warning or an error.
fn is_complaint(line: &str) -> bool {
    line.split_whitespace().any(|word| ["WARN", "ERROR"].contains(&word))
}

/// mdBook, which is installed beside what else is built unless it is there.
fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let program = tools.join("bin").join("mdbook");
    let version = || process::answer(Command::new(&program).arg("--version"));
    let is_there = || version().is_some_and(|text| text.trim().trim_start_matches("mdbook v") == MDBOOK);
    if !is_there() {
        say::note(&format!(
            "mdBook {MDBOOK} is missing: cargo installs it in {}; this takes a minute or two",
            tools.display()
        ));
        let mut cargo =
            workspace.cargo(&["install", "mdbook", "--version", MDBOOK, "--locked", "--no-default-features"]);
        // A build that is used once need not be a fast program, but soon be there.
        cargo.args(["--features", "search", "--root"]).arg(&tools).args(["--debug", "--quiet"]);
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", tools.join("build"));
        let status = cargo.stdin(Stdio::null()).status().context("cannot run cargo")?;
        ensure!(
            status.success(),
            "`cargo install mdbook --version {MDBOOK}` failed ({status}); its messages are above"
        );
        // What it was compiled of is not wanted again. If it stays, it is only in the way.
        let _ = fs::remove_dir_all(tools.join("build"));
    }
    ensure!(is_there(), "{} says that it is {:?}, and not mdbook v{MDBOOK}", program.display(), version());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_the_summary_lacks_is_named() {
        let page = |path: &str, text: &str| Page { path: path.into(), text: text.to_owned() };
        let pages = [
            page("README.md", "# Not in the book\n"),
            page("docs/SUMMARY.md", "# Summary\n\n- [One](one.md)\n- [Three](deep/three.md)\n"),
            page("docs/one.md", "# One\n"),
            page("docs/two.md", "# Two\n"),
            page("docs/deep/three.md", "# Three\n"),
        ];
        assert_eq!(in_summary(&pages).unwrap(), (2, vec!["docs/two.md is not in docs/SUMMARY.md".to_owned()]));
        assert!(in_summary(&pages[2..]).is_err());
    }

    #[test]
    fn warnings_of_mdbook_are_complaints() {
        assert!(is_complaint(" WARN unclosed HTML tag `<a>` found in `why.md`"));
        assert!(is_complaint("ERROR Rendering failed"));
        assert!(!is_complaint(" INFO Book building has started"));
        assert!(!is_complaint(" INFO HTML book written to `WARNINGS/ERRORS`"));
    }
}
