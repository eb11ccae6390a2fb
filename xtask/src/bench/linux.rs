//! Linux as it is compared with: Debian's kernel for 32-bit PCs with PAE, a module that measures, and a file system with nothing else in it.
//!
//! Debian's packages are fetched and unpacked below `target/`, nothing of them is installed, and the lists of packages that apt needs for that
//! are there, too: neither root nor a second architecture for dpkg is needed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cpio::newc::Builder;

use crate::process;
use crate::qemu::{self, Linux, Machine, Outcome};
use crate::say;
use crate::setup;
use crate::workspace::Workspace;

use super::figures::Figures;

/// Debian's package that depends on the newest kernel of this kind.
const KERNEL: &str = "linux-image-686-pae";

/// For the kernel's command line. `mitigations=off`: what works around faults of processors is not counted against Linux.
const COMMAND_LINE: &str = "console=ttyS0 nokaslr panic=-1 mitigations=off loglevel=4";

/// What is to be booted.
pub struct Kernel {
    /// Such as `6.1.0-50-686-pae`.
    pub release: String,
    /// Debian's version, such as `6.1.176-1`.
    pub version: String,
    image: PathBuf,
    initramfs: PathBuf,
}

impl Kernel {
    /// Fetches what is missing, and builds the module and what it is booted from.
    ///
    /// # Errors
    ///
    /// If something cannot be fetched or built.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        setup::for_linux()?;
        let folder = workspace.target.join("linux");
        fs::create_dir_all(&folder)?;
        let root = Packages::new(&folder)?.unpack()?;
        let (release, version) = (root.release, root.version);
        let headers = root.folder.join("usr/src").join(format!("linux-headers-{release}"));
        let build = folder.join("build");
        fs::create_dir_all(&build)?;
        let source = workspace.root.join("benches/linux");
        for file in ["Kbuild", "highmem_bench.c"] {
            copy(&source.join(file), &build.join(file))?;
        }
        say::note("building the module");
        let mut make = Command::new("make");
        make.arg("-C").arg(&headers).arg(format!("M={}", build.display())).args(["CC=gcc", "ARCH=x86", "modules"]);
        run(&mut make, &folder.join("make.log"))?;
        let init = build.join("init");
        let mut gcc = Command::new("gcc");
        gcc.args([
            "-m32",
            "-Os",
            "-ffreestanding",
            "-fno-pie",
            "-no-pie",
            "-fno-stack-protector",
            "-nostdlib",
            "-static",
        ]);
        gcc.arg("-o").arg(&init).arg(source.join("init.c"));
        run(&mut gcc, &folder.join("gcc.log"))?;
        let initramfs = folder.join("initramfs.cpio");
        archive(&initramfs, &[("init", &init, 0o755), ("highmem_bench.ko", &build.join("highmem_bench.ko"), 0o644)])?;
        let image = root.folder.join("boot").join(format!("vmlinuz-{release}"));
        say::note(&format!("Linux      {release} (Debian {version})"));
        Ok(Self { release, version, image, initramfs })
    }

    /// Boots it, and has the module measure with these parameters.
    ///
    /// # Errors
    ///
    /// If it does not come to its end.
    pub fn measure(&self, machine: &Machine, parameters: &str) -> Result<(Figures, String)> {
        let command_line = format!("{COMMAND_LINE} -- {parameters}");
        let linux = Linux { initramfs: &self.initramfs, command_line: &command_line };
        let run = qemu::run_linux(&self.image, &linux, machine, say::guest)?;
        match run.outcome {
            Outcome::Pass => Ok((Figures::parse(&run.output)?, run.output)),
            outcome => bail!("Linux {}: {outcome}", self.release),
        }
    }
}

/// Unpacked packages.
struct Root {
    folder: PathBuf,
    release: String,
    version: String,
}

/// Where packages come from.
struct Packages<'a> {
    folder: &'a Path,
    options: Vec<String>,
}

impl<'a> Packages<'a> {
    fn new(folder: &'a Path) -> Result<Self> {
        let folder_of = |name: &str| folder.join("apt").join(name);
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder_of(name))?;
        }
        let set = |option: &str, path: PathBuf| format!("{option}={}", path.display());
        let options = [
            "APT::Architecture=i386".to_owned(),
            "APT::Architectures::=i386".to_owned(),
            format!("APT::Architectures::={}", debian_name()?),
            "APT::Sandbox::User=root".to_owned(),
            set("Dir::State::lists", folder_of("lists")),
            set("Dir::Cache", folder_of("cache")),
        ];
        Ok(Self { folder, options: options.into() })
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command.current_dir(self.folder);
        command
    }

    /// The packages of the newest kernel, fetched and unpacked if they are not there.
    fn unpack(&self) -> Result<Root> {
        let folder = self.folder.join("root");
        let done = self.folder.join("unpacked");
        if let Ok(text) = fs::read_to_string(&done)
            && let [release, version] = text.split_whitespace().collect::<Vec<_>>()[..]
        {
            return Ok(Root { folder, release: release.to_owned(), version: version.to_owned() });
        }
        say::note("apt-get update, into target/ (one minute)");
        // A repository that cannot be reached and is not needed does not matter: what is needed is looked up next.
        let updated = run(self.apt("apt-get").args(["-qq", "update"]), &self.folder.join("update.log"));
        let depends =
            process::answer(self.apt("apt-cache").args(["depends", "--important", KERNEL])).unwrap_or_default();
        let Some(release) = release_of(&depends) else {
            updated?;
            bail!("apt knows no {KERNEL} for i386: this needs the package sources of Debian 12, or of a later one");
        };
        let image = format!("linux-image-{release}:i386");
        let show =
            process::answer(self.apt("apt-cache").args(["show", "--no-all-versions", &image])).unwrap_or_default();
        let version = show.lines().find_map(|line| line.strip_prefix("Version: "));
        let version = version.with_context(|| format!("apt knows no version of {image}"))?.trim().to_owned();
        let headers = format!("linux-headers-{release}:i386");
        let depends =
            process::answer(self.apt("apt-cache").args(["depends", "--important", &headers])).unwrap_or_default();
        let others = depended(&depends);
        let find = |start: &str, end: &str| {
            let name = others.iter().find(|name| name.starts_with(start) && name.ends_with(end));
            name.with_context(|| format!("{headers} depends on no {start}*{end}"))
        };
        // kbuild's programs run here, and the others' do not matter.
        let kbuild = format!("{}:{}", find("linux-kbuild-", "")?.split(':').next().unwrap_or_default(), debian_name()?);
        let common = find("linux-headers-", "-common")?.clone();
        let packages = [image, headers, common, kbuild];
        for old in fs::read_dir(self.folder)?.flatten() {
            if old.path().extension().is_some_and(|end| end == "deb") {
                fs::remove_file(old.path())?;
            }
        }
        say::note(&format!("apt-get download {} (70 MB)", packages.join(" ")));
        run(self.apt("apt-get").args(["-qq", "download"]).args(&packages), &self.folder.join("download.log"))?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for file in fs::read_dir(self.folder)?.flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|end| end == "deb") {
                // Of the kernel's package, what is in /boot: its modules are large, and of no use.
                let is_image = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("linux-image"));
                extract(&file, &folder, is_image.then_some("./boot"))?;
                fs::remove_file(&file)?;
            }
        }
        // The one path that expects the headers to be installed.
        let makefile = folder.join("usr/src").join(format!("linux-headers-{release}")).join("Makefile");
        let text = fs::read_to_string(&makefile).with_context(|| format!("cannot read {}", makefile.display()))?;
        let ours = format!("{}/usr/src/", folder.display());
        fs::write(&makefile, text.replace("/usr/src/", &ours))?;
        fs::write(done, format!("{release} {version}\n"))?;
        Ok(Root { folder, release, version })
    }
}

/// The host's architecture, as Debian calls it.
fn debian_name() -> Result<String> {
    let answer = process::answer(Command::new("dpkg").arg("--print-architecture"));
    answer.map(|name| name.trim().to_owned()).context("`dpkg --print-architecture` says nothing: this is no Debian")
}

/// `6.1.0-50-686-pae`, from what the package without a version depends on.
fn release_of(depends: &str) -> Option<String> {
    let start = "linux-image-";
    let kernel = depended(depends).into_iter().find(|name| name.starts_with(start))?;
    let release = kernel.strip_prefix(start)?.split(':').next()?;
    release.starts_with(|first: char| first.is_ascii_digit()).then(|| release.to_owned())
}

/// The packages in the answer of `apt-cache depends`.
fn depended(depends: &str) -> Vec<String> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Unpacks a package, or a folder of it.
fn extract(package: &Path, into: &Path, only: Option<&str>) -> Result<()> {
    let mut dpkg = Command::new("dpkg-deb");
    let mut dpkg = dpkg.arg("--fsys-tarfile").arg(package).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let archive = dpkg.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--directory"]).arg(into).args(only).stdin(archive);
    let unpacked = tar.status()?.success();
    ensure!(dpkg.wait()?.success() && unpacked, "cannot unpack {}", package.display());
    Ok(())
}

/// Copies a file if it is another than there was, so that it is not built anew for nothing.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).ok().as_ref() != Some(&new) {
        fs::write(to, new)?;
    }
    Ok(())
}

/// Runs a command whose output is of interest only if it fails.
fn run(command: &mut Command, log: &Path) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        let text = fs::read_to_string(log).unwrap_or_default();
        bail!("{program} failed ({status}):\n{}", text.trim_end());
    }
    Ok(())
}

/// Writes the files, by name, path and permissions, as the archive that Linux unpacks at boot.
fn archive(to: &Path, files: &[(&str, &Path, u32)]) -> Result<()> {
    const REGULAR: u32 = 0o100_000;
    let mut out = File::create(to)?;
    for (name, path, mode) in files {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut writer = Builder::new(name).mode(REGULAR | mode).write(&mut out, bytes.len().try_into()?);
        std::io::Write::write_all(&mut writer, &bytes)?;
        writer.finish()?;
    }
    cpio::newc::trailer(&mut out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_that_of_the_newest_kernel() {
        let depends = "linux-image-686-pae\n  Depends: linux-image-6.1.0-50-686-pae\n";
        assert_eq!(release_of(depends).as_deref(), Some("6.1.0-50-686-pae"));
        let foreign = "linux-image-686-pae:i386\n  Depends: linux-image-6.12.9+deb13-686-pae:i386\n";
        assert_eq!(release_of(foreign).as_deref(), Some("6.12.9+deb13-686-pae"));
        for other in ["", "N: Unable to locate package", "  Depends: linux-image-generic\n"] {
            assert_eq!(release_of(other), None, "{other}");
        }
    }
}
