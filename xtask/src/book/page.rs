//! A page as what is to be checked in it: links, headings, code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::html;

/// The file that has no place in the book, and is checked with it.
const README: &str = "README.md";

/// A file of Markdown.
pub struct Page {
    /// Where it is, from the root of the repository on.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// A link, or a picture.
#[derive(Debug, PartialEq)]
pub struct Link {
    /// In which line.
    pub line: usize,
    /// Where it leads.
    pub destination: String,
}

/// A block of code.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// The line in which it begins.
    pub line: usize,
    /// What is said about it: its language.
    pub info: String,
    /// The code.
    pub text: String,
}

/// The README and all pages below `docs`.
pub fn read(root: &Path, docs: &str) -> Result<Vec<Page>> {
    let mut paths = vec![PathBuf::from(README)];
    let mut folders = vec![PathBuf::from(docs)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let page = |path: PathBuf| {
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Page { path, text })
    };
    paths.into_iter().map(page).collect()
}

impl Page {
    /// A fault, and where.
    pub fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }

    /// Links and pictures.
    pub fn links(&self) -> Vec<Link> {
        let link = |(event, range): (Event<'_>, std::ops::Range<usize>)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(Link { line: self.line(range.start), destination: dest_url.to_string() })
            }
            _ => None,
        };
        self.events().filter_map(link).collect()
    }

    /// What a link to this page may name behind a `#`.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut seen = BTreeMap::new();
        let mut heading: Option<String> = None;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let name = slug(&heading.take().unwrap_or_default());
                    let before = seen.entry(name.clone()).or_insert(0);
                    anchors.insert(if *before == 0 { name } else { format!("{name}-{before}") });
                    *before += 1;
                }
                Event::Text(text) | Event::Code(text) => heading.iter_mut().for_each(|heading| heading.push_str(&text)),
                Event::Html(text) | Event::InlineHtml(text) => anchors.extend(html::ids(&text)),
                _ => {}
            }
        }
        anchors
    }

    /// Blocks of code that say in which language.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_inside = false;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = if let CodeBlockKind::Fenced(info) = kind { info.to_string() } else { String::new() };
                    blocks.push(Block { line: self.line(range.start), info, text: String::new() });
                    is_inside = true;
                }
                Event::End(TagEnd::CodeBlock) => is_inside = false,
                Event::Text(text) if is_inside => {
                    blocks.iter_mut().last().into_iter().for_each(|block| block.text += &text)
                }
                _ => {}
            }
        }
        blocks
    }

    /// Code in the midst of text.
    pub fn spans(&self) -> Vec<(usize, String)> {
        let span = |(event, range): (Event<'_>, std::ops::Range<usize>)| match event {
            Event::Code(text) => Some((self.line(range.start), text.to_string())),
            _ => None,
        };
        self.events().filter_map(span).collect()
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, std::ops::Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text[..offset].matches('\n').count()
    }
}

/// What a heading is called in links: as in the book, and where repositories are browsed.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|&letter| letter.is_alphanumeric() || ['-', '_', ' '].contains(&letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "docs/one.md".into(), text: text.to_owned() }
    }

    #[test]
    fn links_pictures_and_references_are_found_with_their_lines() {
        let page = page(
            "# One\n\n[a](b.md#c) and\n![d](e.svg), [f][g]\n\n[g]: ../h.rs\n\n| x |\n|---|\n| [i](j.md) |\n\n```text\n[no](link.md)\n```\n",
        );
        let links: Vec<_> = page.links().into_iter().map(|link| (link.line, link.destination)).collect();
        let expected = [(3, "b.md#c"), (4, "e.svg"), (4, "../h.rs"), (10, "j.md")];
        assert_eq!(links, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn anchors_are_headings_and_what_html_names() {
        let page = page("# `kmap()`: it's 2 pages\n## One\n## One\n<a id=\"a01\"></a>\n\ntext <b id='b'>x</b>\n");
        let expected = ["a01", "b", "kmap-its-2-pages", "one", "one-1"];
        assert_eq!(page.anchors().into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn code_is_found() {
        let page = page("Run `cargo x`.\n\n- a\n\n  ```rust\n  fn a() {\n      b();\n  }\n  ```\n\n```sh\nls\n```\n");
        let block = |line, info: &str, text: &str| Block { line, info: info.to_owned(), text: text.to_owned() };
        assert_eq!(page.blocks(), [block(5, "rust", "fn a() {\n    b();\n}\n"), block(11, "sh", "ls\n")]);
        assert_eq!(page.spans(), [(1, "cargo x".to_owned())]);
    }
}
