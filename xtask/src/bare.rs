//! Builds programs of package `kernel` for a PC without an operating system, in one of three paging modes
//! and one of two layouts of the window.
//!
//! `core` and `alloc` come from source, since no toolchain carries them for such a target; cargo does
//! that behind unstable options, which `RUSTC_BOOTSTRAP=1` opens on a stable toolchain, here only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use cargo_metadata::Message;

use crate::arch::{Arch, Window};
use crate::process::{self, End, Source};
use crate::say;
use crate::setup::Toolchain;
use crate::workspace::{KERNEL, Kind, Program, Workspace};

const STD: [&str; 2] = ["-Zbuild-std=core,alloc,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"];

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Optimised.
    Release,
    /// Optimised, but not across crates. For the test programs: there are many.
    NoLto,
    /// With debug assertions and overflow checks.
    Dev,
}

impl Profile {
    /// Cargo's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::NoLto => "no-lto",
            Self::Dev => "dev",
        }
    }
}

/// What to build for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build {
    /// The paging mode.
    pub arch: Arch,
    /// The layout of the window.
    pub window: Window,
    /// The profile.
    pub profile: Profile,
}

impl Build {
    /// For speed.
    pub const fn release(arch: Arch, window: Window) -> Self {
        Self { arch, window, profile: Profile::Release }
    }

    /// The usual profile for a program of this kind.
    pub const fn of(kind: Kind, arch: Arch, window: Window) -> Self {
        match kind {
            Kind::Test => Self { arch, window, profile: Profile::NoLto },
            Kind::Example | Kind::Bench => Self::release(arch, window),
        }
    }

    /// Features of package `kernel`.
    fn features(self) -> impl Iterator<Item = &'static str> {
        self.arch.features().iter().chain(self.window.features()).copied()
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}{}", self.arch, self.profile.name(), self.window.remark())
    }
}

/// The executables that came out of a build, by program name.
pub type Built = BTreeMap<String, PathBuf>;

/// Builds for the bare machine.
pub struct Builder<'a> {
    workspace: &'a Workspace,
    toolchain: &'a Toolchain,
    target: PathBuf,
    quiet: bool,
}

impl<'a> Builder<'a> {
    /// Each toolchain has a target directory of its own, so that neither rebuilds the other's `core`.
    pub fn new(workspace: &'a Workspace, toolchain: &'a Toolchain) -> Self {
        Self { workspace, toolchain, target: directory(&workspace.target, toolchain), quiet: false }
    }

    /// The same with results below `target`, and with nothing on the screen unless a build fails.
    pub fn quiet(workspace: &'a Workspace, toolchain: &'a Toolchain, target: &Path) -> Self {
        Self { workspace, toolchain, target: directory(target, toolchain), quiet: true }
    }

    /// A cargo command on package `kernel` for the bare machine.
    ///
    /// Each paging mode has a target directory of its own: its programs have the same names.
    pub fn cargo(&self, command: &str, build: Build) -> Command {
        let mut cargo = self.toolchain.cargo();
        cargo.current_dir(&self.workspace.root).arg(command).args(["--package", KERNEL]);
        cargo.args(["--target", build.arch.target()]).args(STD).arg("-Zpanic-abort-tests");
        if self.toolchain.gates_json_targets {
            cargo.arg("-Zjson-target-spec");
        }
        cargo.args(["--profile", build.profile.name(), "--target-dir"]).arg(self.target.join(build.arch.name()));
        for feature in build.features() {
            cargo.args(["--features", feature]);
        }
        build.arch.configure(&mut cargo);
        cargo
    }

    /// Builds `programs`. One that does not compile is missing in the result; cargo has said why.
    ///
    /// The next build may replace the executables: those of both layouts of the window have the same names.
    pub fn build(&self, programs: &[&Program], build: Build) -> Result<Built> {
        let mut groups: BTreeMap<&BTreeSet<String>, Vec<&Program>> = BTreeMap::new();
        for program in programs {
            groups.entry(&program.features).or_default().push(program);
        }
        let mut built = Built::new();
        for (features, programs) in groups {
            let mut cargo = self.cargo("build", build);
            cargo.args(["--keep-going", "--message-format=json-render-diagnostics"]);
            for feature in features {
                cargo.args(["--features", feature]);
            }
            for program in &programs {
                cargo.args([program.kind.flag(), &program.name]);
            }
            let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
            built.append(&mut self.executables(cargo, &format!("{} ({build})", names.join(", ")))?);
        }
        Ok(built)
    }

    fn executables(&self, mut cargo: Command, what: &str) -> Result<Built> {
        let start = Instant::now();
        if !self.quiet {
            say::note(&format!("building {what} with {}", self.toolchain));
        }
        let mut built = Built::new();
        let mut log = String::new();
        if self.quiet {
            cargo.stderr(Stdio::piped());
        }
        let end = process::stream(&mut cargo, None, |source, line| match source {
            Source::Out => built.extend(executable(line)),
            Source::Err => log = format!("{log}{line}\n"),
        })
        .context("cannot run cargo")?;
        let succeeded = matches!(end, End::Exited(status) if status.success());
        if !self.quiet {
            let result = if succeeded { "built" } else { "did not build everything" };
            say::note(&format!("{result} in {}", say::seconds(start.elapsed())));
        } else if !succeeded {
            say::line(log.trim_end());
        }
        Ok(built)
    }
}

/// The name and path of an executable, if that is what one of cargo's messages is about.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    match Message::parse_stream(message.as_bytes()).next()?.ok()? {
        Message::CompilerArtifact(artifact) => Some((artifact.target.name, artifact.executable?.into())),
        _ => None,
    }
}

fn directory(target: &Path, toolchain: &Toolchain) -> PathBuf {
    target.join(format!("bare-{}", toolchain.version))
}
