//! Where the links of the pages lead, as files of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::page::Page;
use super::{DOCS, html};

/// The number of links to files, and a fault for each that leads nowhere.
pub fn check(root: &Path, pages: &[Page]) -> (usize, Vec<String>) {
    let anchors: BTreeMap<&Path, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.as_path(), page.anchors())).collect();
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages {
        for link in page.links() {
            let Some((path, anchor)) = split(&link.destination) else { continue };
            count += 1;
            let mut fault = |what: &str| {
                faults.push(page.fault(link.line, &format!("the link `{}` {what}", link.destination)));
            };
            let Some(target) = resolve(&page.path, path) else {
                fault("leads out of the repository");
                continue;
            };
            if !root.join(&target).exists() {
                fault("leads nowhere");
            } else if let Some(anchor) = anchor {
                let there = match anchors.get(target.as_path()) {
                    Some(anchors) => anchors.contains(anchor),
                    None => fs::read_to_string(root.join(&target)).is_ok_and(|text| html::ids(&text).contains(anchor)),
                };
                if !there {
                    fault("names a place that is not there");
                }
            }
        }
    }
    (count, faults)
}

/// Copies what pages of the book link to, and is not part of it, to where the links lead in the book.
pub fn copy_sources(root: &Path, pages: &[Page], site: &Path) -> Result<()> {
    for page in pages.iter().filter(|page| page.path.starts_with(DOCS)) {
        for link in page.links() {
            let target = split(&link.destination).and_then(|(path, _)| resolve(&page.path, path));
            let Some(target) = target.filter(|target| !target.starts_with(DOCS)) else { continue };
            let copy = site.join(&target);
            fs::create_dir_all(copy.parent().unwrap_or(site))
                .and_then(|()| fs::copy(root.join(&target), &copy))
                .with_context(|| format!("cannot copy {}", target.display()))?;
        }
    }
    Ok(())
}

/// Path and anchor of a link, unless it leads to another host.
pub fn split(destination: &str) -> Option<(&str, Option<&str>)> {
    if destination.contains("://") || destination.starts_with("mailto:") {
        return None;
    }
    Some(match destination.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (destination, None),
    })
}

/// The file that `path` names in the file `from`, if it is in the repository.
pub fn resolve(from: &Path, path: &str) -> Option<PathBuf> {
    if path.is_empty() {
        return Some(from.to_owned());
    }
    let mut target = from.parent()?.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir => target = target.parent()?.to_owned(),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [("docs/one.md", ""), ("src/lib.rs", ""), ("docs/hall.html", "<h2 id=\"a01\">A01</h2>")] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let text = "# One\n\
            [good](one.md) [good](#one) [good](one.md#one) [good](../src/lib.rs) [good](https://lwn.net/x#y) [good](hall.html#a01)\n\
            [bad](two.md)\n\
            [bad](#two)\n\
            [bad](../../src/lib.rs)\n\
            [bad](/docs/one.md)\n\
            [bad](hall.html#a02)\n";
        let page = Page { path: "docs/one.md".into(), text: text.to_owned() };
        let (count, faults) = check(root.path(), &[page]);
        assert_eq!(count, 10);
        assert_eq!(
            faults,
            [
                "docs/one.md:3: the link `two.md` leads nowhere",
                "docs/one.md:4: the link `#two` names a place that is not there",
                "docs/one.md:5: the link `../../src/lib.rs` leads out of the repository",
                "docs/one.md:6: the link `/docs/one.md` leads out of the repository",
                "docs/one.md:7: the link `hall.html#a02` names a place that is not there",
            ]
        );
    }

    #[test]
    fn sources_stand_beside_the_book() {
        let (root, site) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(root.path().join("src")).unwrap();
        fs::write(root.path().join("src/lib.rs"), "code").unwrap();
        let page = Page { path: "docs/one.md".into(), text: "[code](../src/lib.rs) [self](one.md)\n".to_owned() };
        copy_sources(root.path(), &[page], site.path()).unwrap();
        assert_eq!(fs::read_to_string(site.path().join("src/lib.rs")).unwrap(), "code");
        assert!(!site.path().join("docs").exists());
    }
}
