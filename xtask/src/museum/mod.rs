//! `cargo xtask museum`: pages about real bugs, made of `ui-tests/museum/`.
//!
//! Each program there is a mistake that a kernel really had. The pages show it in C and in Rust, with what the compiler says or what
//! happens at run time, and count the outcomes. They are part of the repository, and a step of the tests compares them.

mod case;
mod colour;
mod hall;
mod html;
mod markdown;
mod score;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::say;
use crate::workspace::Workspace;
use crate::{readme, sabotage};
use hall::Class;

/// Where the exhibits are.
const PLACE: &str = "ui-tests/museum";

/// What makes the pages.
const COMMAND: &str = "cargo xtask museum";

/// Where the pages for one class each are.
const ROOMS: &str = "docs/museum";

/// Writes the pages, or looks whether they are up to date. `true`: they are.
pub fn run(check: bool) -> Result<bool> {
    let root = Workspace::open()?.root;
    if check {
        say::pass(&up_to_date(&root)?);
        return Ok(true);
    }
    let classes = read(&root)?;
    let pages = pages(&root, &classes)?;
    for path in rooms(&root)?.iter().filter(|path| !pages.contains_key(*path)) {
        fs::remove_file(root.join(path)).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    for (path, text) in &pages {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&root))
            .with_context(|| format!("no place for {}", path.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    score::sentence(&classes).lines().for_each(say::note);
    say::pass(&format!(
        "docs/museum.html, docs/museum.md, {} pages in {ROOMS}, and the counts in README.md",
        classes.len()
    ));
    Ok(true)
}

/// Says what was compared if the pages are those of the exhibits; otherwise the error says which is not, and what to do.
pub fn up_to_date(root: &Path) -> Result<String> {
    let classes = read(root)?;
    compare(root, &pages(root, &classes)?)?;
    Ok(format!("the pages about {} cases are up to date", score::table(&classes).total.all))
}

/// Whether the pages in `root` are these, and no others.
fn compare(root: &Path, pages: &BTreeMap<PathBuf, String>) -> Result<()> {
    for (path, text) in pages {
        let found = fs::read_to_string(root.join(path)).unwrap_or_default();
        ensure!(found == *text, "{} is out of date: run `{COMMAND}`", path.display());
    }
    if let Some(path) = rooms(root)?.iter().find(|path| !pages.contains_key(*path)) {
        bail!("{} is about no class: run `{COMMAND}`", path.display());
    }
    Ok(())
}

fn read(root: &Path) -> Result<Vec<Class>> {
    hall::read(root, &sabotage::names(root)?)
}

/// What is generated, by its path from `root`.
fn pages(root: &Path, classes: &[Class]) -> Result<BTreeMap<PathBuf, String>> {
    let mut pages = BTreeMap::from([
        ("docs/museum.html".into(), html::page(classes)?),
        ("docs/museum.md".into(), markdown::entrance(classes)),
    ]);
    for class in classes {
        pages.insert(room(class), markdown::room(class));
    }
    let readme = fs::read_to_string(root.join("README.md")).context("cannot read README.md")?;
    pages.insert("README.md".into(), readme::with_part(&readme, "museum", &score::sentence(classes))?);
    Ok(pages)
}

/// The page about one class.
fn room(class: &Class) -> PathBuf {
    Path::new(ROOMS).join(format!("{}.md", class.letter.to_lowercase()))
}

/// The pages about classes that there are.
fn rooms(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let rooms = match fs::read_dir(root.join(ROOMS)) {
        Ok(rooms) => rooms,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).context(format!("cannot list {ROOMS}")),
    };
    rooms.map(|room| Ok(Path::new(ROOMS).join(room?.file_name()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_differ_or_are_too_many_are_named() {
        let root = tempfile::tempdir().unwrap();
        let page = |path: &str| (PathBuf::from(path), "text".to_owned());
        let pages = BTreeMap::from([page("docs/museum.md"), page("docs/museum/a.md")]);
        let result = || compare(root.path(), &pages).map_err(|error| error.to_string());
        let out_of_date = |path| Err(format!("{path} is out of date: run `cargo xtask museum`"));
        assert_eq!(result(), out_of_date("docs/museum/a.md"));
        fs::create_dir_all(root.path().join(ROOMS)).unwrap();
        pages.iter().for_each(|(path, text)| fs::write(root.path().join(path), text).unwrap());
        assert_eq!(result(), Ok(()));
        fs::write(root.path().join("docs/museum/a.md"), "other").unwrap();
        assert_eq!(result(), out_of_date("docs/museum/a.md"));
        fs::write(root.path().join("docs/museum/a.md"), "text").unwrap();
        fs::write(root.path().join("docs/museum/w.md"), "text").unwrap();
        assert_eq!(result(), Err("docs/museum/w.md is about no class: run `cargo xtask museum`".to_owned()));
    }
}
