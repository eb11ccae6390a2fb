//! The page tables: physical memory at 3 GiB, in 4 KiB pages, each no more allowed than it needs.
//!
//! The direct map covers lowmem: physical memory up to [`LOWMEM_LIMIT`] or the end of RAM. In it the kernel's text is
//! read-only, its constants are read-only and not executable, and all else is writable and not executable (where the CPU
//! has NX). The page below the stack is missing. There is no identity map and no large page: QEMU drops its whole TLB
//! when `invlpg` hits inside a large page it has cached, and that would hide a missing flush of one page.
//!
//! From 0xF800_0000 up the address space is free. A page table of somebody else's joins by [`link_table`].

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use highmem::PAGE_SIZE;
use x86::bits64::paging::{PAddr, PDEntry, PDFlags, PDPTEntry, PDPTFlags, PTEntry, PTFlags};
use x86::controlregs::{cr3, cr3_write};

use crate::boot;
use crate::memory::MemoryMap;

/// Where physical address 0 is mapped.
pub const DIRECT_MAP_BASE: usize = 0xC000_0000;

/// The most physical memory that the direct map covers: 896 MiB.
pub const LOWMEM_LIMIT: usize = 896 << 20;

/// Entries in a table.
const ENTRIES: usize = 512;

/// Bytes that a page table maps.
pub const TABLE_SPAN: usize = ENTRIES * PAGE_SIZE;

/// One table of any level.
#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; ENTRIES]>);

// SAFETY: entries are read and written with volatile accesses of half an entry, as the CPU's own walks do; there is one
// CPU, and an entry is written once.
unsafe impl Sync for Table {}

impl Table {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    fn physical(&self) -> PAddr {
        PAddr::from(virt_to_phys(self.0.get() as usize))
    }

    fn get(&self, index: usize) -> u64 {
        assert!(index < ENTRIES);
        // SAFETY: inside the table.
        unsafe { ptr::read_volatile(self.0.get().cast::<u64>().add(index)) }
    }

    /// Fills an empty entry: high half first, and then the low half with the present bit (I10).
    fn set(&self, index: usize, entry: u64) {
        assert!(index < ENTRIES && self.get(index) == 0, "page-table entry {index} is in use");
        let halves = self.0.get().cast::<[u32; 2]>();
        // SAFETY: inside the table, which the CPU may be walking: volatile, in the order of I10.
        unsafe {
            let halves = halves.add(index).cast::<u32>();
            ptr::write_volatile(halves.add(1), (entry >> 32) as u32);
            ptr::write_volatile(halves, entry as u32);
        }
    }
}

static POINTERS: Table = Table::new();
static DIRECTORIES: [Table; 4] = [const { Table::new() }; 4];
static DIRECT_TABLES: [Table; LOWMEM_LIMIT / TABLE_SPAN] = [const { Table::new() }; LOWMEM_LIMIT / TABLE_SPAN];

static HAS_NX: AtomicBool = AtomicBool::new(false);
static LOWMEM_END: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    #[link_name = "__image_start"]
    static IMAGE_START: c_void;
    #[link_name = "__text_end"]
    static TEXT_END: c_void;
    #[link_name = "__rodata_end"]
    static RODATA_END: c_void;
    #[link_name = "__image_end"]
    static IMAGE_END: c_void;
}

/// Whether pages can be no-execute: the CPU has NX and it is turned on.
#[inline]
pub fn has_nx() -> bool {
    HAS_NX.load(Ordering::Relaxed)
}

/// The first physical address behind lowmem.
#[inline]
pub fn lowmem_end() -> usize {
    LOWMEM_END.load(Ordering::Relaxed)
}

/// The physical address of an address in the direct map, which the kernel's image is a part of.
///
/// # Panics
///
/// If `virt` is not in the direct map.
#[inline]
pub fn virt_to_phys(virt: usize) -> u64 {
    assert!((DIRECT_MAP_BASE..DIRECT_MAP_BASE + LOWMEM_LIMIT).contains(&virt), "{virt:#x} is not in the direct map");
    (virt - DIRECT_MAP_BASE) as u64
}

/// The address of physical address `phys` in the direct map, if it is lowmem.
#[inline]
pub fn phys_to_virt(phys: u64) -> Option<usize> {
    (phys < lowmem_end() as u64).then(|| phys as usize + DIRECT_MAP_BASE)
}

/// The kernel's image, in virtual addresses.
pub fn image() -> core::ops::Range<usize> {
    &raw const IMAGE_START as usize..&raw const IMAGE_END as usize
}

/// The part of the image that can be executed.
pub fn text() -> core::ops::Range<usize> {
    &raw const IMAGE_START as usize..&raw const TEXT_END as usize
}

/// The part of the image that can only be read.
pub fn rodata() -> core::ops::Range<usize> {
    &raw const TEXT_END as usize..&raw const RODATA_END as usize
}

/// What the page tables in use say about an address.
#[derive(Clone, Copy, Debug)]
pub enum Mapping {
    /// Nothing is mapped there.
    Absent,
    /// A 2 MiB page.
    Large(PDEntry),
    /// A 4 KiB page.
    Page(PTEntry),
}

/// Walks the page tables in use, as the CPU does.
///
/// # Panics
///
/// If a table lies outside lowmem: [`link_table`] allows none such.
pub fn walk(virt: usize) -> Mapping {
    // SAFETY: reads a register.
    let pointer = PDPTEntry(entry(unsafe { cr3() }, virt >> 30));
    if !pointer.is_present() {
        return Mapping::Absent;
    }
    let directory = PDEntry(entry(pointer.address().as_u64(), virt / TABLE_SPAN % ENTRIES));
    if !directory.is_present() {
        return Mapping::Absent;
    }
    if directory.is_page() {
        return Mapping::Large(directory);
    }
    let page = PTEntry(entry(directory.address().as_u64(), virt / PAGE_SIZE % ENTRIES));
    if page.is_present() { Mapping::Page(page) } else { Mapping::Absent }
}

/// Puts the page table `table` into the page directory, for the 2 MiB at `virt`.
///
/// ```ignore
/// static TABLE: Window = Window::new(); // 4 KiB, aligned to 4 KiB
/// unsafe { paging::link_table(0xF800_0000, (&raw const TABLE).cast()) };
/// ```
///
/// # Panics
///
/// If `virt` is not a multiple of 2 MiB or has a table already, or `table` is not 4 KiB-aligned in the direct map.
///
/// # Safety
///
/// `table` is a page of 512 PAE entries that stays a page table for ever, and whoever fills these entries answers for
/// what they map.
pub unsafe fn link_table(virt: usize, table: *const c_void) {
    assert!(virt.is_multiple_of(TABLE_SPAN), "{virt:#x} is not a multiple of 2 MiB");
    assert!((table as usize).is_multiple_of(PAGE_SIZE), "the page table at {table:p} is not aligned");
    let flags = PDFlags::P | PDFlags::RW;
    let entry = PDEntry::new(PAddr::from(virt_to_phys(table as usize)), flags);
    DIRECTORIES[virt >> 30].set(virt / TABLE_SPAN % ENTRIES, entry.0);
}

/// Builds the final tables and switches to them.
///
/// # Safety
///
/// Once, on the boot tables; `has_nx` says whether EFER.NXE is set.
pub(crate) unsafe fn init(has_nx: bool, map: &MemoryMap) {
    HAS_NX.store(has_nx, Ordering::Relaxed);
    let ram_end = map.ram().filter(|r| r.start < LOWMEM_LIMIT as u64).map(|r| r.end()).max().unwrap_or(0);
    let end = ram_end.min(LOWMEM_LIMIT as u64) as usize & !(PAGE_SIZE - 1);
    assert!(end >= virt_to_phys(image().end - 1) as usize, "not enough memory: lowmem ends at {end:#x}");
    LOWMEM_END.store(end, Ordering::Relaxed);

    for (index, directory) in DIRECTORIES.iter().enumerate() {
        POINTERS.set(index, PDPTEntry::new(directory.physical(), PDPTFlags::P).0);
    }
    for (index, table) in DIRECT_TABLES.iter().enumerate().take(end.div_ceil(TABLE_SPAN)) {
        // SAFETY: our own table, whose entries are written below and map lowmem where everybody expects it.
        unsafe { link_table(DIRECT_MAP_BASE + index * TABLE_SPAN, (&raw const *table).cast()) };
    }
    for phys in (0..end).step_by(PAGE_SIZE) {
        if let Some(flags) = protection(phys + DIRECT_MAP_BASE, has_nx) {
            let entry = PTEntry::new(PAddr::from(phys), flags);
            DIRECT_TABLES[phys / TABLE_SPAN].set(phys / PAGE_SIZE % ENTRIES, entry.0);
        }
    }
    // SAFETY: the new tables map all that is in use (image, stack, lowmem) where the boot tables do; the CPU loads the
    // four pointers now, and they never change again.
    unsafe { cr3_write(POINTERS.physical().as_u64()) };
}

/// What is allowed on the page at `virt` of the direct map; `None` if it is to be missing.
fn protection(virt: usize, has_nx: bool) -> Option<PTFlags> {
    let allowed = if virt == boot::stack_guard() {
        return None;
    } else if text().contains(&virt) {
        PTFlags::P
    } else if rodata().contains(&virt) {
        PTFlags::P | PTFlags::XD
    } else {
        PTFlags::P | PTFlags::RW | PTFlags::XD
    };
    Some(if has_nx { allowed } else { allowed - PTFlags::XD })
}

/// Entry `index` of the table at physical address `table`.
fn entry(table: u64, index: usize) -> u64 {
    let table = phys_to_virt(table).expect("page table outside lowmem");
    // SAFETY: a table in use, which lowmem maps, and `index` is below 512 by the shifts above.
    unsafe { ptr::read_volatile((table as *const u64).add(index)) }
}
