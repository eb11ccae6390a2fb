//! The configuration space of PCI devices, by mechanism 1.
//!
//! There are two ports: a register's address is written to the first, and its value goes through the second. If another CPU, or a handler,
//! writes another address between the two, the value goes to another device's register, which may be the one that says where in memory
//! that device writes.
//!
//! So whoever goes through the second port has written the first one with interrupts off, and with a lock that all share.
//!
//! [`ConfigurationSpace`] has no other way to the ports. What the registers mean is in the crate `pci_types`.

use pci_types::{ConfigRegionAccess, EndpointHeader, PciAddress, PciHeader};
use x86::io::{inl, outl};

use crate::sync::IrqLock;

/// Where the address of a register goes, and where its value is then.
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

const ENABLE: u32 = 1 << 31;
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

/// What a register has where there is no device.
const NO_VENDOR: u16 = 0xffff;

/// Held from the address to the value.
static PORTS: IrqLock<()> = IrqLock::new(());

/// The way to the registers.
pub(crate) struct ConfigurationSpace;

impl ConfigurationSpace {
    fn with_address<R>(address: PciAddress, offset: u16, f: impl FnOnce() -> R) -> R {
        assert!(address.segment() == 0 && offset < 256, "mechanism 1 does not reach {address}, {offset:#x}");
        let function = u32::from(address.function()) << 8;
        let device = u32::from(address.device()) << 11;
        let bus = u32::from(address.bus()) << 16;
        PORTS.with(|()| {
            // SAFETY: chooses a register, and does nothing else.
            unsafe { outl(ADDRESS, ENABLE | bus | device | function | u32::from(offset & !3)) };
            f()
        })
    }
}

impl ConfigRegionAccess for ConfigurationSpace {
    unsafe fn read(&self, address: PciAddress, offset: u16) -> u32 {
        // SAFETY: by the trait's contract; a register that is not there reads as ones.
        Self::with_address(address, offset, || unsafe { inl(DATA) })
    }

    unsafe fn write(&self, address: PciAddress, offset: u16, value: u32) {
        // SAFETY: by the trait's contract.
        Self::with_address(address, offset, || unsafe { outl(DATA, value) });
    }
}

/// The devices on bus 0.
fn devices() -> impl Iterator<Item = EndpointHeader> {
    let functions = (0..DEVICES).flat_map(|device| (0..FUNCTIONS).map(move |function| (device, function)));
    functions.filter_map(|(device, function)| {
        let header = PciHeader::new(PciAddress::new(0, 0, device, function));
        let (vendor, _) = header.id(ConfigurationSpace);
        if vendor == NO_VENDOR { None } else { EndpointHeader::from_header(header, ConfigurationSpace) }
    })
}

/// The first device on bus 0 that is of a class, and its programming interface.
pub(crate) fn find(class: (u8, u8)) -> Option<(EndpointHeader, u8)> {
    devices().find_map(|device| {
        let (_, base, sub, interface) = device.header().revision_and_class(ConfigurationSpace);
        ((base, sub) == class).then_some((device, interface))
    })
}

/// The first device on bus 0 that has one of these numbers, of those that a vendor gives.
#[cfg(target_arch = "x86_64")]
pub(crate) fn find_by_id(vendor: u16, numbers: &[u16]) -> Option<EndpointHeader> {
    devices().find(|device| {
        let (found, number) = device.header().id(ConfigurationSpace);
        found == vendor && numbers.contains(&number)
    })
}
