//! A copy of the workspace's source that can be changed without harm.
//!
//! A file is written only if its content differs, so that cargo, which goes by modification times,
//! rebuilds no more than what a change touches.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The source and its copy.
pub struct Tree {
    source: PathBuf,
    /// Where the copy is.
    pub copy: PathBuf,
}

impl Tree {
    /// A copy of `source` in `copy`; [`Self::sync`] makes it so.
    pub fn new(source: &Path, copy: PathBuf) -> Self {
        Self { source: source.to_owned(), copy }
    }

    /// Makes the copy equal to the source, but for one file, which gets the given text.
    pub fn sync(&self, change: Option<(&Path, &str)>) -> Result<()> {
        let files = source_files(&self.source)?;
        if let Some((file, _)) = change {
            ensure!(files.contains(file), "{} is no source file of the workspace", file.display());
        }
        for file in &files {
            let content = match change {
                Some((changed, text)) if changed == file => text.as_bytes().to_vec(),
                _ => fs::read(self.source.join(file)).with_context(|| format!("cannot read {}", file.display()))?,
            };
            write_if_different(&self.copy.join(file), &content)?;
        }
        for file in walk(&self.copy)?.difference(&files) {
            fs::remove_file(self.copy.join(file)).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(())
    }
}

/// The files that git knows or would add; without git, all but `target`.
pub fn source_files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = git.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let listed = listed.ok().filter(|output| output.status.success()).map(|output| output.stdout).unwrap_or_default();
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let files: BTreeSet<PathBuf> =
        names.map(|name| OsStr::from_bytes(name).into()).filter(|file: &PathBuf| root.join(file).is_file()).collect();
    if files.is_empty() { walk(root) } else { Ok(files) }
}

/// The files below `root`, without `target` and hidden version-control directories.
fn walk(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let path = root.join(&directory);
        if !path.exists() {
            continue;
        }
        for entry in fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))? {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            if !entry.path().is_dir() {
                files.insert(name);
            } else if ![Path::new("target"), Path::new(".git")].contains(&name.as_path()) {
                directories.push(name);
            }
        }
    }
    Ok(files)
}

fn write_if_different(file: &Path, content: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let write = || {
        fs::create_dir_all(file.parent().unwrap_or(file))?;
        fs::write(file, content)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_source_and_rewrites_only_what_differs() {
        let base = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        let (source, copy) = (base.join("source"), base.join("copy"));
        fs::create_dir_all(source.join("src")).unwrap();
        fs::create_dir_all(source.join("target")).unwrap();
        for (file, text) in [("a", "a"), ("src/b", "b"), ("target/c", "c")] {
            fs::write(source.join(file), text).unwrap();
        }
        let tree = Tree::new(&source, copy.clone());
        let read = |file: &str| fs::read_to_string(copy.join(file)).ok();
        let written = |file: &str| fs::metadata(copy.join(file)).unwrap().modified().unwrap();

        tree.sync(Some((Path::new("src/b"), "sabotaged"))).unwrap();
        assert_eq!(
            (read("a").as_deref(), read("src/b").as_deref(), read("target/c")),
            (Some("a"), Some("sabotaged"), None)
        );
        assert!(tree.sync(Some((Path::new("./a"), "?"))).is_err());
        let before = written("a");
        tree.sync(None).unwrap();
        assert_eq!((read("src/b").as_deref(), written("a")), (Some("b"), before));
        fs::remove_file(source.join("a")).unwrap();
        tree.sync(None).unwrap();
        assert_eq!(read("a"), None);
        fs::remove_dir_all(base).unwrap();
    }
}
