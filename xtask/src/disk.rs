//! The disks that programs want: how large each is, and which controller it is on in which paging mode.
//!
//! `package.metadata.disks` of package `kernel` says so, by the program's name: `"16G"` is a disk on the PC's IDE controller, and
//! `{ size = "16G", on = "ide or virtio" }` one on virtio where the kernel has a driver for that.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

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

/// A disk that a program wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    size: Memory,
    on: On,
}

impl Wanted {
    /// The disk in a paging mode; `None` if the mode has no driver for such a disk.
    pub fn disk(&self, arch: Arch) -> Option<Disk> {
        let controller = match (self.on, arch) {
            (On::Virtio, Arch::NonPae | Arch::Pae) => return None,
            (On::Ide, _) | (On::IdeOrVirtio, Arch::NonPae | Arch::Pae) => Controller::Ide,
            (On::Virtio | On::IdeOrVirtio, Arch::X86_64) => Controller::Virtio,
        };
        Some(Disk { size: self.size, controller })
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
        }

        struct SizeOrTable;

        impl<'de> Visitor<'de> for SizeOrTable {
            type Value = Wanted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a size, or a table such as { size = "16G", on = "ide or virtio" }"#)
            }

            fn visit_str<E: Error>(self, size: &str) -> Result<Wanted, E> {
                Ok(Wanted { size: size.parse().map_err(E::custom)?, on: On::Ide })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Wanted, A::Error> {
                let Table { size, on } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Wanted { size, on })
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
}

impl Disk {
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
        let drive = format!("file={name},format=raw,if=none,id=disk");
        ["-drive".to_owned(), drive, "-device".to_owned(), format!("{device},drive=disk")].into()
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
            (r#"{ size = "16G", in = "ide" }"#, "unknown field `in`, expected `size` or `on`"),
            ("16", r#"invalid type: integer `16`, expected a size, or a table such as { size = "16G", on = "#),
        ];
        for (value, message) in mistakes {
            let error = wanted(value).unwrap_err();
            assert!(error.contains(message), "{value}: {error}");
        }
    }

    #[test]
    fn the_machine_is_told_of_the_image_and_its_controller() {
        let disk = |controller| Disk { size: "16M".parse().unwrap(), controller };
        let arguments = |controller| disk(controller).arguments(Path::new("/a,b/c.img")).join(" ");
        let drive = "-drive file=/a,,b/c.img,format=raw,if=none,id=disk";
        assert_eq!(arguments(Controller::Ide), format!("{drive} -device ide-hd,bus=ide.0,drive=disk"));
        let virtio = arguments(Controller::Virtio);
        assert_eq!(virtio, format!("{drive} -device virtio-blk-pci,disable-legacy=on,drive=disk"));
    }
}
