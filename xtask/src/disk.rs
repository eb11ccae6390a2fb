//! The disks that programs want: how large each is, and which controller it is on in which paging mode.
//!
//! `package.metadata.disks` of package `kernel` says so, by the program's name: `"16G"` is a disk on the PC's IDE controller, and
//! `{ size = "16G", on = "ide or virtio" }` one on virtio where the kernel has a driver for that.
//!
//! With `errors = { read = [100], write = [200], flush = true }` each read of sector 100, each write of sector 200, and the first flush
//! fails: QEMU's `blkdebug` says so to its device, and that to the driver.
//!
//! With `checked = true` the program says what has to be in the image at the end, by checksums ([`REPORT`]), and that is compared.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result as AnyResult, bail, ensure};
use crc::{CRC_64_XZ, Crc};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::arch::Arch;
use crate::qemu::Memory;

/// What a program has its disk on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum On {
    /// IDE, in all paging modes.
    #[default]
    #[serde(rename = "ide")]
    Ide,
    /// Virtio, in 64-bit mode: the others have no driver, so the program is not for them.
    #[serde(rename = "virtio")]
    Virtio,
    /// Virtio in 64-bit mode, and IDE in the others.
    #[serde(rename = "ide or virtio")]
    IdeOrVirtio,
}

/// What fails on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Errors {
    /// Each read of one of these sectors.
    #[serde(default)]
    read: Vec<u64>,
    /// Each write.
    #[serde(default)]
    write: Vec<u64>,
    /// The first flush.
    #[serde(default)]
    flush: bool,
}

impl Errors {
    /// As rules of QEMU's `blkdebug`: options of a drive, each with a comma before it; none if nothing fails.
    fn rules(&self) -> String {
        let sectors = |kind, list: &[u64]| {
            let rule = |sector: &u64| format!("iotype={kind},sector={sector}");
            list.iter().map(rule).collect::<Vec<_>>()
        };
        let mut rules = [sectors("read", &self.read), sectors("write", &self.write)].concat();
        if self.flush {
            rules.push("iotype=flush,once=on".to_owned());
        }
        let rule = |(number, rule): (usize, String)| {
            let options = format!("event=none,errno=5,{rule}");
            options.split(',').map(|option| format!(",file.inject-error.{number}.{option}")).collect::<String>()
        };
        rules.into_iter().enumerate().map(rule).collect()
    }
}

/// A disk that a program wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    size: Memory,
    on: On,
    errors: Errors,
    checked: bool,
}

impl Wanted {
    /// The disk in a paging mode; `None` if the mode has no driver for such a disk.
    pub fn disk(&self, arch: Arch) -> Option<Disk> {
        let controller = match (self.on, arch) {
            (On::Virtio, Arch::NonPae | Arch::Pae) => return None,
            (On::Ide, _) | (On::IdeOrVirtio, Arch::NonPae | Arch::Pae) => Controller::Ide,
            (On::Virtio | On::IdeOrVirtio, Arch::X86_64) => Controller::Virtio,
        };
        Some(Disk { size: self.size, controller, errors: self.errors.clone(), checked: self.checked })
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            size: Memory,
            #[serde(default)]
            on: On,
            #[serde(default)]
            errors: Errors,
            #[serde(default)]
            checked: bool,
        }

        struct SizeOrTable;

        impl<'de> Visitor<'de> for SizeOrTable {
            type Value = Wanted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a size, or a table such as { size = "16G", on = "ide or virtio" }"#)
            }

            fn visit_str<E: Error>(self, size: &str) -> Result<Wanted, E> {
                let size = size.parse().map_err(E::custom)?;
                Ok(Wanted { size, on: On::Ide, errors: Errors::default(), checked: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Wanted, A::Error> {
                let Table { size, on, errors, checked } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Wanted { size, on, errors, checked })
            }
        }

        deserializer.deserialize_any(SizeOrTable)
    }
}

/// What a disk is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// The first channel of the PC's IDE controller.
    Ide,
    /// A virtio device of its own, on the PCI bus.
    Virtio,
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ide => "IDE",
            Self::Virtio => "virtio",
        })
    }
}

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// How large it is.
    pub size: Memory,
    /// What it is on.
    pub controller: Controller,
    errors: Errors,
    checked: bool,
}

impl Disk {
    /// One on which nothing fails.
    #[cfg(test)]
    pub fn plain(size: Memory, controller: Controller) -> Self {
        Self { size, controller, errors: Errors::default(), checked: false }
    }

    /// Makes the disk, empty: a sparse file. One that was there before is not overwritten, for a machine that still runs may have it.
    pub fn create(&self, image: &Path) -> io::Result<()> {
        match fs::remove_file(image) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::create_new(image)?.set_len(self.size.bytes()),
        }
    }

    /// What gives QEMU's machine the disk.
    pub fn arguments(&self, image: &Path) -> Vec<String> {
        // A comma is doubled where it is not to begin another option.
        let name = image.display().to_string().replace(',', ",,");
        let device = match self.controller {
            Controller::Ide => "ide-hd,bus=ide.0",
            // What was there before the standard is left out: the driver does not know it.
            Controller::Virtio => "virtio-blk-pci,disable-legacy=on",
        };
        let rules = self.errors.rules();
        let file = if rules.is_empty() {
            format!("file={name}")
        } else {
            // The guest is told of errors, and the machine goes on.
            format!(
                "file.driver=blkdebug,file.image.driver=file,file.image.filename={name}{rules},rerror=report,werror=report"
            )
        };
        let drive = format!("{file},format=raw,if=none,id=disk");
        ["-drive".to_owned(), drive, "-device".to_owned(), format!("{device},drive=disk")].into()
    }

    /// Compares the image with what the program says has to be there.
    ///
    /// # Errors
    /// The first difference; or that the program has not said anything, and was to.
    pub fn check(&self, image: &Path, output: &str) -> AnyResult<()> {
        let mut reports = output.lines().filter_map(Report::parse).peekable();
        ensure!(!self.checked || reports.peek().is_some(), "the program does not say what its disk has: `{REPORT}..`");
        for report in reports {
            let found = report.of(image).with_context(|| format!("cannot read {}", image.display()))?;
            let Report { start, end, sum } = report;
            if found != sum {
                bail!("bytes {start}..{end} of the disk have checksum {found:016x}, and the program says {sum:016x}");
            }
        }
        Ok(())
    }
}

/// How a line begins by which a program says what has to be on the disk: `disk image: bytes 0..4096, CRC-64/XZ 0123456789abcdef`.
const REPORT: &str = "disk image: bytes ";

/// Such a line.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    start: u64,
    end: u64,
    sum: u64,
}

impl Report {
    fn parse(line: &str) -> Option<Self> {
        let (range, sum) = line.trim().strip_prefix(REPORT)?.split_once(", CRC-64/XZ ")?;
        let (start, end) = range.split_once("..")?;
        let sum = u64::from_str_radix(sum, 16).ok()?;
        Some(Self { start: start.parse().ok()?, end: end.parse().ok()?, sum })
    }

    /// The checksum of these bytes of the image.
    fn of(&self, image: &Path) -> io::Result<u64> {
        let crc = Crc::<u64>::new(&CRC_64_XZ);
        let mut digest = crc.digest();
        let mut file = File::open(image)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut left = self.end.saturating_sub(self.start);
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let len = left.min(buffer.len() as u64) as usize;
            file.read_exact(&mut buffer[..len])?;
            digest.update(&buffer[..len]);
            left -= len as u64;
        }
        Ok(digest.finalize())
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a disk of {} on {}", self.size, self.controller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn wanted(value: &str) -> Result<Wanted, String> {
        let table: Result<BTreeMap<String, Wanted>, _> = toml::from_str(&format!("disk = {value}"));
        table.map(|table| table["disk"].clone()).map_err(|error| error.message().to_owned())
    }

    fn disks(value: &str) -> [Option<String>; 3] {
        let wanted = wanted(value).unwrap();
        Arch::ALL.map(|arch| wanted.disk(arch).map(|disk| disk.to_string()))
    }

    #[test]
    fn each_mode_has_the_disk_that_it_has_a_driver_for() {
        let ide = Some("a disk of 16G on IDE".to_owned());
        let virtio = Some("a disk of 16G on virtio".to_owned());
        let on_ide = [ide.clone(), ide.clone(), ide.clone()];
        assert_eq!(disks(r#""16G""#), on_ide);
        assert_eq!(disks(r#"{ size = "16G" }"#), on_ide);
        assert_eq!(disks(r#"{ size = "16G", on = "ide" }"#), on_ide);
        assert_eq!(disks(r#"{ size = "16G", on = "ide or virtio" }"#), [ide.clone(), ide, virtio.clone()]);
        assert_eq!(disks(r#"{ size = "16G", on = "virtio" }"#), [None, None, virtio]);
    }

    #[test]
    fn mistakes_in_the_table_are_named() {
        let mistakes = [
            (r#""banana""#, "`banana` is no memory size"),
            (r#"{ size = "16X" }"#, "`16X` is no memory size"),
            (r#"{ on = "ide" }"#, "missing field `size`"),
            (
                r#"{ size = "16G", on = "scsi" }"#,
                "unknown variant `scsi`, expected one of `ide`, `virtio`, `ide or virtio`",
            ),
            (r#"{ size = "16G", in = "ide" }"#, "unknown field `in`, expected one of `size`, `on`"),
            ("16", r#"invalid type: integer `16`, expected a size, or a table such as { size = "16G", on = "#),
        ];
        for (value, message) in mistakes {
            let error = wanted(value).unwrap_err();
            assert!(error.contains(message), "{value}: {error}");
        }
    }

    #[test]
    fn the_machine_is_told_of_the_image_and_its_controller() {
        let disk = |controller| Disk::plain("16M".parse().unwrap(), controller);
        let arguments = |controller| disk(controller).arguments(Path::new("/a,b/c.img")).join(" ");
        let drive = "-drive file=/a,,b/c.img,format=raw,if=none,id=disk";
        assert_eq!(arguments(Controller::Ide), format!("{drive} -device ide-hd,bus=ide.0,drive=disk"));
        let virtio = arguments(Controller::Virtio);
        assert_eq!(virtio, format!("{drive} -device virtio-blk-pci,disable-legacy=on,drive=disk"));
    }
    #[test]
    fn errors_are_rules_of_qemus() {
        let value = r#"{ size = "16M", errors = { read = [7, 8], write = [9], flush = true } }"#;
        let arguments = wanted(value).unwrap().disk(Arch::Pae).unwrap().arguments(Path::new("/a,b"));
        let rule = |number, rule: &str| {
            let options = [&["event=none", "errno=5"], &rule.split(' ').collect::<Vec<_>>()[..]].concat();
            options.iter().map(|option| format!(",file.inject-error.{number}.{option}")).collect::<String>()
        };
        let rules = [
            rule(0, "iotype=read sector=7"),
            rule(1, "iotype=read sector=8"),
            rule(2, "iotype=write sector=9"),
            rule(3, "iotype=flush once=on"),
        ];
        let expected = format!(
            "file.driver=blkdebug,file.image.driver=file,file.image.filename=/a,,b{},rerror=report,werror=report,\
             format=raw,if=none,id=disk",
            rules.concat()
        );
        assert_eq!(arguments[1], expected);
        assert!(wanted(r#"{ size = "16M", errors = { reads = [7] } }"#).unwrap_err().contains("unknown field `reads`"));
    }

    #[test]
    fn the_image_is_what_the_program_says() {
        let image = std::env::temp_dir().join(format!("highmem-disk-{}.img", std::process::id()));
        fs::write(&image, b"....123456789.").unwrap();
        let disk = |checked| Disk { checked, ..Disk::plain("16M".parse().unwrap(), Controller::Ide) };
        let check = |checked, output: &str| disk(checked).check(&image, output).map_err(|error| format!("{error:#}"));
        // The check value of this CRC.
        let good = "hello\ndisk image: bytes 4..13, CRC-64/XZ 995dc9bbdf1939fa\n";
        assert_eq!((check(true, good), check(false, good)), (Ok(()), Ok(())));
        let bad = good.replace("4..13", "5..14");
        assert!(check(false, &bad).unwrap_err().contains("bytes 5..14 of the disk have checksum"));
        assert!(check(false, &good.replace("13", "15")).unwrap_err().contains("cannot read"));
        assert_eq!(check(false, "hello"), Ok(()));
        assert!(check(true, "hello").unwrap_err().contains("does not say what its disk has"));
        fs::remove_file(&image).unwrap();
    }
}
