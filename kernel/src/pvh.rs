//! What the boot loader says about the machine: the PVH start-info structure.
//!
//! It lies in low memory that nobody promises to keep, so what matters of it, the memory map and where the ACPI tables begin, is copied
//! out before anything else is set up.

use core::mem::size_of;
use core::ptr;

use crate::memory::{Kind, MemoryMap, Region};
use crate::paging::DIRECT_MAP_BASE;

const MAGIC: u32 = 0x336e_c578;

/// How much the boot tables map; the structure must lie below.
const BOOT_MAPPED: u64 = 1 << 30;

/// `struct hvm_start_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    nr_modules: u32,
    modlist_paddr: u64,
    cmdline_paddr: u64,
    rsdp_paddr: u64,
    memmap_paddr: u64,
    memmap_entries: u32,
    reserved: u32,
}

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<StartInfo>() == 56 && size_of::<Entry>() == 24);

/// Copies the memory map out of the start info at physical address `start_info`, and the physical address of the ACPI tables' root
/// pointer, or zero.
///
/// # Panics
///
/// If there is no start info there, or its version (0) has no memory map.
///
/// # Safety
///
/// The boot tables are in use, and `start_info` is what the boot loader passed in `ebx`.
pub unsafe fn memory_map(start_info: u32) -> (MemoryMap, u64) {
    // SAFETY: by this function's contract.
    let info: StartInfo = unsafe { read(start_info.into()) };
    assert_eq!(info.magic, MAGIC, "the boot loader passed no PVH start info");
    assert!(info.version >= 1 && info.memmap_entries > 0, "the boot loader passed no memory map");
    let mut map = MemoryMap::new();
    for index in 0..info.memmap_entries {
        let address = info.memmap_paddr + u64::from(index) * size_of::<Entry>() as u64;
        // SAFETY: the start info says that there is an entry there.
        let entry: Entry = unsafe { read(address) };
        map.push(Region { start: entry.address, size: entry.size, kind: Kind::from_e820(entry.kind) });
    }
    (map, info.rsdp_paddr)
}

/// Reads a `T` at a physical address.
///
/// # Safety
///
/// The boot tables are in use, and the boot loader has put a `T` there.
unsafe fn read<T: Copy>(address: u64) -> T {
    assert!(address + size_of::<T>() as u64 <= BOOT_MAPPED, "start info at {address:#x}");
    // SAFETY: mapped, as just checked; any alignment will do.
    unsafe { ptr::read_unaligned((address as usize + DIRECT_MAP_BASE) as *const T) }
}
