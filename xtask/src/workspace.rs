//! What cargo says about this workspace: where it is and which programs, tests and features it has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use serde::Deserialize;

use crate::arch::Arch;
use crate::disk::{Disk, Wanted};

/// The package whose examples, tests and benches are bare-metal programs.
pub const KERNEL: &str = "kernel";
/// The published package.
pub const LIBRARY: &str = "highmem";
/// The package whose benchmarks are programs for the host.
pub const HOST_BENCHES: &str = "host-benches";

/// The workspace that this program was built from, or a copy of it.
pub struct Workspace {
    /// Where its `Cargo.toml` is.
    pub root: PathBuf,
    /// Where build results go.
    pub target: PathBuf,
    metadata: Metadata,
}

impl Workspace {
    /// The workspace that this program belongs to.
    pub fn open() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::open_at(here.parent().unwrap_or(here))
    }

    /// The workspace at `root`.
    pub fn open_at(root: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .with_context(|| format!("`cargo metadata` failed in {}", root.display()))?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let target = metadata.target_directory.clone().into_std_path_buf();
        Ok(Self { root, target, metadata })
    }

    /// The cargo that started this program, for work on the host.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A member of the workspace.
    pub fn package(&self, name: &str) -> Result<&Package> {
        let mut packages = self.metadata.packages.iter();
        packages.find(|package| package.name == name).with_context(|| format!("the workspace has no package `{name}`"))
    }

    /// The bare-metal programs.
    pub fn programs(&self) -> Result<Programs> {
        let mut disks = self.disks()?;
        let mut only = self.only()?;
        let mut programs = Vec::new();
        for kind in Kind::ALL {
            for target in self.package(KERNEL)?.targets.iter().filter(|target| target.is_kind(kind.target())) {
                let features = target.required_features.iter().cloned().collect();
                let disk = disks.remove(&target.name);
                let only = only.remove(&target.name);
                programs.push(Program { name: target.name.clone(), kind, features, disk, only });
            }
        }
        let mut names = BTreeSet::new();
        for program in &programs {
            if !names.insert(&program.name) {
                bail!("two programs of package {KERNEL} are called `{}`; names must differ", program.name);
            }
        }
        if let Some(name) = disks.keys().next() {
            bail!("package {KERNEL} has a disk for `{name}`, and no program that is called so");
        }
        if let Some(name) = only.keys().next() {
            bail!("package {KERNEL} says what `{name}` is for, and has no program that is called so");
        }
        Ok(Programs(programs))
    }

    /// The paging modes that programs are for, by the program's name, if not for all: `package.metadata.only` of package `kernel`.
    fn only(&self) -> Result<BTreeMap<String, BTreeSet<Arch>>> {
        let Some(only) = self.package(KERNEL)?.metadata.get("only") else { return Ok(BTreeMap::new()) };
        BTreeMap::deserialize(only).with_context(|| format!("`package.metadata.only` of package {KERNEL}"))
    }

    /// The disks that programs want, by the program's name: `package.metadata.disks` of package `kernel`.
    fn disks(&self) -> Result<BTreeMap<String, Wanted>> {
        let Some(disks) = self.package(KERNEL)?.metadata.get("disks") else { return Ok(BTreeMap::new()) };
        let place = || format!("`package.metadata.disks` of package {KERNEL}");
        let disks = disks.as_object().with_context(|| format!("{} is no table", place()))?;
        let disk = |(name, value): (&String, _)| {
            let disk = Wanted::deserialize(value).with_context(|| format!("{}, `{name}`", place()));
            disk.map(|disk| (name.clone(), disk))
        };
        disks.iter().map(disk).collect()
    }
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Shows something.
    Example,
    /// Checks something.
    Test,
    /// Measures something.
    Bench,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Example, Self::Test, Self::Bench];

    fn target(self) -> TargetKind {
        match self {
            Self::Example => TargetKind::Example,
            Self::Test => TargetKind::Test,
            Self::Bench => TargetKind::Bench,
        }
    }

    /// Cargo's option that selects one program of this kind.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Example => "--example",
            Self::Test => "--test",
            Self::Bench => "--bench",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Example => "examples",
            Self::Test => "tests",
            Self::Bench => "benches",
        }
    }
}

/// One bare-metal program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Unique among all programs.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Features of its package that it cannot do without.
    pub features: BTreeSet<String>,
    /// The disk that it wants, if it wants one.
    pub disk: Option<Wanted>,
    /// The paging modes that it is for, if not for all.
    pub only: Option<BTreeSet<Arch>>,
}

impl Program {
    /// Its disk in a paging mode, if it wants one.
    pub fn disk(&self, arch: Arch) -> Option<Disk> {
        self.disk.as_ref().and_then(|disk| disk.disk(arch))
    }

    /// Whether it is for a paging mode: not if it says that it is for others, or wants a disk that the mode has no driver for.
    pub fn is_for(&self, arch: Arch) -> bool {
        self.check(arch).is_ok()
    }

    /// An error if it is not for a paging mode.
    pub fn check(&self, arch: Arch) -> Result<()> {
        let has_disk = self.disk.is_none() || self.disk(arch).is_some();
        ensure!(has_disk, "`{}` is not for {arch}, which has no driver for its disk", self.name);
        let is_meant = self.only.as_ref().is_none_or(|only| only.contains(&arch));
        ensure!(is_meant, "`{}` is not for {arch}, by `package.metadata.only` of package {KERNEL}", self.name);
        Ok(())
    }
}

/// All bare-metal programs.
pub struct Programs(Vec<Program>);

impl Programs {
    /// The program with this name; the error lists those that there are.
    pub fn find(&self, name: &str) -> Result<&Program> {
        let mut programs = self.0.iter();
        programs
            .find(|program| program.name == name)
            .with_context(|| format!("no program is called `{name}`; there are {self}"))
    }

    /// Those of one kind.
    pub fn of(&self, kind: Kind) -> Vec<&Program> {
        self.0.iter().filter(|program| program.kind == kind).collect()
    }

    /// A line for each kind: what it is and who is in it.
    pub fn by_kind(&self) -> Vec<String> {
        let line = |kind: &Kind| {
            let names: Vec<&str> = self.of(*kind).iter().map(|program| program.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("{}: {names}", kind.plural())
        };
        Kind::ALL.iter().map(line).collect()
    }

    /// Every one.
    pub fn all(&self) -> Vec<&Program> {
        self.0.iter().collect()
    }
}

impl fmt::Display for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by_kind().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones_by_kind() {
        let program = |name: &str, kind| Program {
            name: name.to_owned(),
            kind,
            features: BTreeSet::new(),
            disk: None,
            only: None,
        };
        let programs = Programs(vec![program("hello", Kind::Example), program("boot", Kind::Test)]);
        assert_eq!(programs.find("boot").unwrap().kind, Kind::Test);
        let error = programs.find("bot").unwrap_err().to_string();
        assert_eq!(error, "no program is called `bot`; there are examples: hello; tests: boot; benches: none");
    }

    #[test]
    fn a_program_is_for_the_modes_that_have_its_disk() {
        let program = |disk: Option<&str>| {
            let disk = disk.map(|disk| toml::from_str(disk).unwrap());
            Program { name: "swap".to_owned(), kind: Kind::Test, features: BTreeSet::new(), disk, only: None }
        };
        let modes = |disk| Arch::ALL.map(|arch| program(disk).is_for(arch));
        assert_eq!(modes(None), [true; 3]);
        assert_eq!(modes(Some("size = '16G'\non = 'ide or virtio'")), [true; 3]);
        assert_eq!(modes(Some("size = '16G'\non = 'virtio'")), [false, false, true]);
        let error = program(Some("size = '16G'\non = 'virtio'")).check(Arch::Pae).unwrap_err().to_string();
        assert_eq!(error, "`swap` is not for pae, which has no driver for its disk");
    }

    #[test]
    fn a_program_is_for_the_modes_that_it_says() {
        let only = Some(BTreeSet::from([Arch::X86_64]));
        let program =
            Program { name: "no_map".to_owned(), kind: Kind::Example, features: BTreeSet::new(), disk: None, only };
        assert_eq!(Arch::ALL.map(|arch| program.is_for(arch)), [false, false, true]);
        let error = program.check(Arch::NonPae).unwrap_err().to_string();
        assert_eq!(error, "`no_map` is not for non-pae, by `package.metadata.only` of package kernel");
    }
}
