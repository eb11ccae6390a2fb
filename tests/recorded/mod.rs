//! What the tests of recorded messages share: which compiler said them, which part of the programs is looked at, and what is in `ui-tests/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler whose messages are recorded.
const RECORDED: &str = include_str!("../../ui-tests/RUSTC_VERSION").trim_ascii();

/// Looks whether the messages are those of the compiler that is asked.
pub fn check_compiler() {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(&rustc).arg("--version").output().expect("rustc runs").stdout;
    let version = String::from_utf8(version).expect("rustc prints text");
    assert!(
        version.starts_with(&format!("rustc {RECORDED}.")),
        "the messages in ui-tests/ are those of rustc {RECORDED}, and this is {version}\
         use that compiler (RUSTUP_TOOLCHAIN={RECORDED}), or record the messages anew: write this version to \
         ui-tests/RUSTC_VERSION and run with TRYBUILD=overwrite"
    );
}

/// Which of the programs are looked at: all, or with `UI_PART=1/2` the first of each two.
pub struct Part {
    number: usize,
    of: usize,
}

impl Part {
    pub fn asked_for() -> Self {
        let part = std::env::var("UI_PART").unwrap_or("1/1".to_owned());
        let (number, of) = part.split_once('/').expect("UI_PART is a part and the number of parts, such as 1/2");
        let [number, of]: [usize; 2] = [number, of].map(|number| number.parse().expect("UI_PART is two numbers"));
        assert!((1..=of).contains(&number), "UI_PART {number}/{of} is no part");
        Self { number, of }
    }

    /// The programs of these names in `directory` that are of this part.
    pub fn of(&self, names: BTreeSet<String>, directory: PathBuf) -> impl Iterator<Item = PathBuf> {
        let names = names.into_iter().skip(self.number - 1).step_by(self.of);
        names.map(move |name| directory.join(format!("{name}.rs")))
    }
}

/// The names of the files of a directory of `ui-tests` that end so.
pub fn names(directory: impl AsRef<Path>, extension: &str) -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests").join(directory);
    let files = directory.read_dir().expect("the directory is there");
    let paths = files.map(|file| file.expect("a file of the directory").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned()).collect()
}
