//! Where the links of the built book lead, which are not those of the pages: mdBook makes some of them, and all anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use html5gum::{Token, Tokenizer};

use super::links;

/// The number of links within the book in `place`, and a fault for each that leads nowhere.
pub fn check(place: &Path) -> Result<(usize, Vec<String>)> {
    let mut texts = BTreeMap::new();
    collect(place, Path::new("."), &mut texts)?;
    let ids: BTreeMap<&PathBuf, BTreeSet<String>> = texts.iter().map(|(path, text)| (path, ids(text))).collect();
    let mut count = 0;
    let mut faults = Vec::new();
    for (path, text) in &texts {
        for destination in attributes(text, &["href", "src"]) {
            let Some((target, anchor)) = links::split(&destination) else { continue };
            count += 1;
            // Links to sources lead out of the book, to what stands beside it.
            let target = if target.is_empty() { path.clone() } else { path.parent().unwrap_or(path).join(target) };
            let there = place.join(&target).exists();
            let target = normal(&target);
            let named = anchor.is_none_or(|anchor| ids.get(&target).is_some_and(|ids| ids.contains(anchor)));
            if !there || !named {
                faults.push(format!(
                    "in the built book, {} leads to `{destination}`, which is not there",
                    path.display()
                ));
            }
        }
    }
    Ok((count, faults))
}

/// What is named by `id` in HTML.
pub fn ids(text: &str) -> BTreeSet<String> {
    attributes(text, &["id"]).into_iter().collect()
}

/// The values of all attributes of these names.
fn attributes(text: &str, names: &[&str]) -> Vec<String> {
    let mut values = Vec::new();
    for token in Tokenizer::new(text).flatten() {
        let Token::StartTag(tag) = token else { continue };
        for (name, value) in &tag.attributes {
            if names.iter().any(|wanted| wanted.as_bytes() == &***name) {
                values.push(String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    values
}

/// All pages below `folder`, by their paths from `place`.
fn collect(place: &Path, folder: &Path, texts: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(place.join(folder)).with_context(|| format!("cannot list {}", place.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(place, &path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("cannot read {}", path.display()))?;
            texts.insert(normal(&path), text);
        }
    }
    Ok(())
}

/// A path without `.` and, where they cancel, without `..`.
fn normal(path: &Path) -> PathBuf {
    path.to_str().and_then(|path| links::resolve(Path::new("."), path)).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_built_book_that_lead_nowhere_are_named() {
        let site = tempfile::tempdir().unwrap();
        let place = site.path().join("docs");
        fs::create_dir_all(place.join("deep")).unwrap();
        fs::write(site.path().join("lib.rs"), "").unwrap();
        fs::write(place.join("one.html"), "<h1 id=one>1</h1><a href='deep/two.html#two'>2</a> <a href='#one'>1</a>")
            .unwrap();
        let two = "<h1 id=\"two\">2</h1><a href=\"../one.html#one\">1</a> <a href=\"../../lib.rs\">c</a> <img src=\"no.svg\">\
            <a href=\"../one.html#no\">x</a> <a href=\"https://lwn.net\">y</a> <a href=\"three.html\">z</a>";
        fs::write(place.join("deep/two.html"), two).unwrap();
        let (count, faults) = check(&place).unwrap();
        assert_eq!(count, 7);
        let fault = |what| format!("in the built book, deep/two.html leads to `{what}`, which is not there");
        assert_eq!(faults, ["no.svg", "../one.html#no", "three.html"].map(fault));
    }
}
