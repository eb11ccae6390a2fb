//! The map of physical memory that the boot loader hands over: `struct hvm_start_info` of the PVH
//! boot protocol, and the table that it leads to.

/// A range of physical addresses: `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Its first address.
    pub start: u64,
    /// How many bytes it has.
    pub size: u64,
    /// What is there: 1 is memory to use.
    pub kind: u32,
    /// Nothing.
    pub reserved: u32,
}

impl Region {
    /// How many bytes of memory it has to use.
    pub fn ram(&self) -> u64 {
        if self.kind == 1 { self.size } else { 0 }
    }
}

/// The start of `struct hvm_start_info`.
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
}

/// The memory map that the start info at this physical address leads to.
///
/// # Safety
/// The boot loader has passed this address, and both are in the direct map, as they were left.
pub unsafe fn from_start_info(address: u32) -> &'static [Region] {
    let info = address as usize as *const StartInfo;
    assert!(!info.is_null() && info.is_aligned(), "no start info");
    // SAFETY: the caller's promise: it is there, for good.
    let info = unsafe { &*info };
    assert_eq!(info.magic, 0x336e_c578, "this is no start info");
    assert!(info.version >= 1, "this boot loader has no memory map");
    let map = info.memory_map as usize as *const Region;
    assert!(!map.is_null() && map.is_aligned(), "no memory map");
    // SAFETY: the caller's promise, and the start info says how many entries there are.
    unsafe { core::slice::from_raw_parts(map, info.memory_map_entries as usize) }
}
