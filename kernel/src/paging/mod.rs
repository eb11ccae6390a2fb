//! The page tables: lowmem in the direct map, in 4 KiB pages, each no more allowed than it needs.
//!
//! The direct map covers lowmem: physical memory up to [`LOWMEM_LIMIT`] or the end of RAM. The kernel's image lies in it, or
//! has a mapping of its own ([`IMAGE_BASE`]). Its text is read-only, its constants are read-only and not executable, and all
//! else is writable and not executable (where the CPU has NX). The page below each stack is missing. There is no identity map
//! and no large page: QEMU drops its whole TLB when `invlpg` hits inside a large page it has cached, and that would hide a
//! missing flush of one page.
//!
//! From [`FREE_BASE`] up the address space is free. A page table of somebody else's joins by [`link_table`].
//!
//! With the feature `cpu-window`, each CPU has tables of its own on the way from the top to the window, and its own page tables behind
//! it: these join by [`link_table_of`]. All else the CPUs share, and that is so by construction: a table on that way exists once for
//! each CPU, in a row, and whatever is put into one copy is put into all, now or later. The copies differ in nothing but what
//! leads to the window.
//!
//! An address space (see [`user`](crate::user)) has a top table of its own, in as many copies, with the kernel's entries of the top table of each CPU:
//! what the kernel maps, it maps in all address spaces. So the kernel's top table is final once there is an address space. A context switch
//! from one address space to another, or to a thread without one, loads the copy of the CPU.
//!
//! The format of an entry and the number of levels are those of the paging mode, each of which is a file with the same names in
//! it: 32-bit without PAE (feature `non-pae`), 32-bit with PAE, 64-bit. Here, an entry is a `u64`.

#[cfg_attr(target_arch = "x86_64", path = "long.rs")]
#[cfg_attr(all(target_arch = "x86", feature = "non-pae"), path = "non_pae.rs")]
#[cfg_attr(all(target_arch = "x86", not(feature = "non-pae")), path = "pae.rs")]
mod mode;
pub(crate) mod user;
#[cfg(not(all(target_arch = "x86", feature = "non-pae")))]
mod wide;

use alloc::vec::Vec;
#[cfg(target_arch = "x86")]
use core::arch::x86::__cpuid;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__cpuid;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ops::{Range, RangeInclusive};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use highmem::PAGE_SIZE;
use highmem::machine::{Machine as _, X86};
use x86::controlregs::{Cr4, cr3, cr3_write, cr4, cr4_write};

use crate::arch::WINDOW_BASE;
pub use crate::arch::{DIRECT_MAP_BASE, FREE_BASE, IMAGE_BASE, LOWMEM_LIMIT};
use crate::kmap::Task;
use crate::memory::MemoryMap;
use crate::{boot, cpu, ipi};
pub use mode::NX_EXISTS;
pub(crate) use mode::read;
#[cfg(target_arch = "x86")]
pub(crate) use mode::{BOOT_CR4, BOOT_FEATURE};
pub use mode::{GLOBAL_TRANSLATIONS, Mode, Raw, levels, page};

#[cfg(all(feature = "no-direct-map", target_arch = "x86"))]
compile_error!("the image of a 32-bit kernel is in the direct map");

/// Whether there is a direct map when the kernel is up.
pub const HAS_DIRECT_MAP: bool = !cfg!(feature = "no-direct-map");

/// Entries in a table.
pub const ENTRIES: usize = 1 << mode::INDEX_BITS;

/// Bytes that a page table maps.
pub const TABLE_SPAN: usize = ENTRIES * PAGE_SIZE;

/// Present.
const PRESENT: u64 = 1 << 0;

/// The processor has used the entry.
const ACCESSED: u64 = 1 << 5;

/// In a table that is not of the lowest level: a large page instead of a table.
const LARGE: u64 = 1 << 7;

/// One table of any level.
#[repr(C, align(4096))]
struct Table(UnsafeCell<[Raw; ENTRIES]>);

// SAFETY: entries are read and written with volatile accesses, as the CPU's own walks do; an entry is written once, before other CPUs
// run, or by a caller who says that it is nobody else's.
unsafe impl Sync for Table {}

impl Table {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    fn physical(&self) -> u64 {
        virt_to_phys(self.0.get() as usize)
    }

    fn get(&self, index: usize) -> u64 {
        assert!(index < ENTRIES);
        // SAFETY: inside the table.
        unsafe { mode::read(self.0.get().cast::<Raw>().add(index)) }
    }

    /// Fills an empty entry.
    fn set(&self, index: usize, entry: u64) {
        assert!(self.get(index) == 0, "page-table entry {index} is in use");
        // SAFETY: inside the table, as `get` has checked, and empty.
        unsafe { mode::write(self.0.get().cast::<Raw>().add(index), entry) }
        // Looked at after the store, as `user` loads the entries after it has said so: one of the two sees the other.
        let is_top = POOL[..COPIES].iter().any(|top| ptr::eq(top, self));
        assert!(!is_top || !TOP_IS_FINAL.load(Ordering::SeqCst), "address spaces lack entry {index} of the top table");
    }
}

/// Tables for the upper levels, and for the image if that is not in the direct map: enough for an image of 32 MiB.
const OTHER_TABLES: usize = 32;

/// How many copies there are of a table on the way to the window.
const COPIES: usize = if cfg!(feature = "cpu-window") { cpu::MAX } else { 1 };

/// The most tables that there can be on the way to the window: the top one, and down to the page directory.
const ON_THE_WAY: usize = 4;

/// All tables, to be taken in order; the first is the top one, in all its copies.
static POOL: [Table; LOWMEM_LIMIT / TABLE_SPAN + OTHER_TABLES + ON_THE_WAY * (COPIES - 1)] =
    [const { Table::new() }; _];

/// How many tables of the pool are taken.
static TAKEN: AtomicUsize = AtomicUsize::new(COPIES);

/// Whether address spaces may have copied the entries of the top table.
static TOP_IS_FINAL: AtomicBool = AtomicBool::new(false);

/// 1 if pages can be no-execute. An integer, whose lowest bit is a `bool` without a comparison: it is asked for at each mapping.
static HAS_NX: AtomicUsize = AtomicUsize::new(0);
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

/// Whether pages can be no-execute: the mode has a bit for it, the CPU has NX, and it is turned on.
#[inline]
pub fn has_nx() -> bool {
    NX_EXISTS && HAS_NX.load(Ordering::Relaxed) & 1 != 0
}

/// The first physical address behind lowmem.
#[inline]
pub fn lowmem_end() -> usize {
    LOWMEM_END.load(Ordering::Relaxed)
}

/// The physical address of an address in the direct map or in the kernel's image.
///
/// # Panics
///
/// If `virt` is in neither.
#[inline]
pub fn virt_to_phys(virt: usize) -> u64 {
    let base = if virt >= IMAGE_BASE { IMAGE_BASE } else { DIRECT_MAP_BASE };
    match virt.checked_sub(base) {
        Some(phys) if phys < LOWMEM_LIMIT => phys as u64,
        _ => panic!("{virt:#x} is not in the direct map"),
    }
}

/// The address of physical address `phys` in the direct map, if it is lowmem, and there is a direct map.
#[inline]
pub fn phys_to_virt(phys: u64) -> Option<usize> {
    (HAS_DIRECT_MAP && phys < lowmem_end() as u64).then(|| phys as usize + DIRECT_MAP_BASE)
}

/// The kernel's image, in virtual addresses.
pub fn image() -> Range<usize> {
    &raw const IMAGE_START as usize..&raw const IMAGE_END as usize
}

/// The part of the image that can be executed.
pub fn text() -> Range<usize> {
    &raw const IMAGE_START as usize..&raw const TEXT_END as usize
}

/// The part of the image that can only be read.
pub fn rodata() -> Range<usize> {
    &raw const TEXT_END as usize..&raw const RODATA_END as usize
}

/// A page, as a page-table entry describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The physical address of the frame.
    pub address: u64,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether it cannot be executed.
    pub no_execute: bool,
}

/// What the page tables in use say about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Nothing is mapped there.
    Absent,
    /// A page of more than 4 KiB.
    Large,
    /// A 4 KiB page.
    Page(Page),
}

/// Which entry of a table of level `level` (1 is the lowest) an address selects.
fn index(virt: usize, level: u32) -> usize {
    ((virt / PAGE_SIZE) >> (mode::INDEX_BITS * (level - 1))) % ENTRIES
}

/// The physical address of the frame or table that an entry names.
pub fn address(entry: u64) -> u64 {
    mode::decode(entry).address
}

/// Entry `index` of a table in use, whoever it belongs to. Without a direct map, it is one of the image.
fn entry(table: u64, index: usize) -> u64 {
    let in_image = || Some(table as usize + IMAGE_BASE).filter(|virt| image().contains(virt));
    let table = phys_to_virt(table).or_else(in_image).expect("page table outside lowmem");
    assert!(index < ENTRIES);
    // SAFETY: a table in use, which lowmem maps, and an entry inside of it.
    unsafe { mode::read((table as *const Raw).add(index)) }
}

/// The physical address of the top table in use.
fn top() -> u64 {
    // SAFETY: reads a register.
    unsafe { cr3() }
}

/// Walks the page tables in use, as the CPU does.
///
/// # Panics
///
/// If a table lies outside lowmem: [`link_table`] allows none such.
pub fn walk(virt: usize) -> Mapping {
    let mut table = top();
    for level in (1..=levels()).rev() {
        let entry = entry(table, index(virt, level));
        match entry {
            _ if entry & PRESENT == 0 => return Mapping::Absent,
            _ if level == 1 => return Mapping::Page(mode::decode(entry)),
            _ if entry & LARGE != 0 => return Mapping::Large,
            _ => table = address(entry),
        }
    }
    unreachable!("the lowest level ends the loop")
}

/// All that is mapped, in order; ranges that touch are one.
///
/// # Panics
///
/// As [`walk`].
pub fn mapped() -> Vec<RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    collect(top(), levels(), 0, &mut ranges);
    ranges
}

/// Adds what the table of level `level` at `table` maps, which stands for the addresses from `start` on.
fn collect(table: u64, level: u32, start: usize, ranges: &mut Vec<RangeInclusive<usize>>) {
    let shift = PAGE_SIZE.ilog2() + mode::INDEX_BITS * (level - 1);
    // PAE's top table has 4 entries.
    for index in 0..ENTRIES.min((usize::MAX >> shift) + 1) {
        let entry = entry(table, index);
        let virt = canonical(start | index << shift);
        if entry & PRESENT == 0 {
        } else if level > 1 && entry & LARGE == 0 {
            collect(address(entry), level - 1, virt, ranges);
        } else {
            let last = virt + ((1 << shift) - 1);
            match ranges.last_mut() {
                Some(range) if range.end().wrapping_add(1) == virt => *range = *range.start()..=last,
                _ => ranges.push(virt..=last),
            }
        }
    }
}

/// Gives the bits above those that the page tables translate the value of the highest one that they do.
fn canonical(virt: usize) -> usize {
    let unused = usize::BITS.saturating_sub(PAGE_SIZE.ilog2() + mode::INDEX_BITS * levels());
    ((virt << unused) as isize >> unused) as usize
}

/// How many copies there are of the table of level `level` for `virt`: one for each CPU if its own window is behind it.
fn copies(virt: usize, level: u32) -> usize {
    let span = PAGE_SIZE.ilog2() + mode::INDEX_BITS * level;
    let leads_to_window = (virt ^ WINDOW_BASE).checked_shr(span).unwrap_or(0) == 0;
    if level > 1 && leads_to_window { COPIES } else { 1 }
}

/// The table of level `level` for `virt`, in all its copies, in the tables that begin with the first of the pool; made if it is
/// missing.
fn tables_for(virt: usize, level: u32) -> &'static [Table] {
    (level + 1..=levels()).rev().fold(&POOL[..COPIES], |tables, level| {
        let index = index(virt, level);
        let count = copies(virt, level - 1);
        let lower = |first: usize| POOL.get(first..first + count).expect("out of page tables");
        match tables[0].get(index) {
            0 => {
                let lower = lower(TAKEN.fetch_add(count, Ordering::Relaxed));
                // Either each copy leads to a copy, or all lead to the one table.
                for (table, lower) in tables.iter().zip(lower.iter().cycle()) {
                    table.set(index, mode::table(lower.physical(), level));
                }
                lower
            }
            entry => lower(number_in_pool(address(entry))),
        }
    })
}

/// Which table of the pool is at a physical address.
fn number_in_pool(phys: u64) -> usize {
    let offset = phys.checked_sub(POOL[0].physical()).map(|offset| offset as usize / PAGE_SIZE);
    offset.filter(|&number| number < POOL.len()).unwrap_or_else(|| panic!("no page table of ours at {phys:#x}"))
}

/// Fills an empty entry of a table, in all its copies.
fn set_in_all(tables: &[Table], index: usize, entry: u64) {
    for table in tables {
        table.set(index, entry);
    }
}

/// Puts the page table `table` into the page directory, for the [`TABLE_SPAN`] bytes at `virt`: on all CPUs.
///
/// ```ignore
/// static TABLE: Window = Window::new(); // 4 KiB, aligned to 4 KiB
/// unsafe { paging::link_table(paging::FREE_BASE, (&raw const TABLE).cast()) };
/// ```
///
/// # Panics
///
/// If `virt` is not a multiple of [`TABLE_SPAN`] or has a table already, or `table` is not 4 KiB-aligned in lowmem; or if the top table
/// has to change for it, and there is an address space, which has the top table as it was.
///
/// # Safety
///
/// `table` is a page of entries of this paging mode that stays a page table for ever, and whoever fills these entries answers for
/// what they map.
pub unsafe fn link_table(virt: usize, table: *const c_void) {
    set_in_all(tables_for(virt, 2), index(virt, 2), entry_of(virt, table));
}

/// Puts the page table `table` into the page directory of one CPU, for the [`TABLE_SPAN`] bytes at `virt`, which are a part of the
/// window. Needs the feature `cpu-window`.
///
/// # Panics
///
/// As [`link_table`], and if all CPUs have the same page directory for `virt`.
///
/// # Safety
///
/// As for [`link_table`].
pub unsafe fn link_table_of(cpu: usize, virt: usize, table: *const c_void) {
    let directories = tables_for(virt, 2);
    assert!(directories.len() == cpu::MAX, "all CPUs have one page directory for {virt:#x}");
    directories[cpu].set(index(virt, 2), entry_of(virt, table));
}

/// The entry of a page directory that has `table` stand for what is at `virt`.
fn entry_of(virt: usize, table: *const c_void) -> u64 {
    assert!(virt.is_multiple_of(TABLE_SPAN), "{virt:#x} is not a multiple of {TABLE_SPAN:#x}");
    assert!((table as usize).is_multiple_of(PAGE_SIZE), "the page table at {table:p} is not aligned");
    mode::table(virt_to_phys(table as usize), 2)
}

/// Builds the final tables and switches to them.
///
/// # Panics
///
/// If there is not enough memory, or the processor lacks what the mode wants.
///
/// # Safety
///
/// Once, on the boot tables; `has_nx` says whether EFER.NXE is set.
pub(crate) unsafe fn init(has_nx: bool, map: &MemoryMap) {
    const PGE: u32 = 1 << 13;
    let has_pge = __cpuid(1).edx & PGE != 0;
    assert!(has_pge || !GLOBAL_TRANSLATIONS, "this CPU has no global translations (PGE), which this kernel wants");
    HAS_NX.store(has_nx.into(), Ordering::Relaxed);
    let ram_end = map.ram().filter(|r| r.start < LOWMEM_LIMIT as u64).map(|r| r.end()).max().unwrap_or(0);
    let end = ram_end.min(LOWMEM_LIMIT as u64) as usize & !(PAGE_SIZE - 1);
    let image = virt_to_phys(image().start) as usize..virt_to_phys(image().end - 1) as usize + 1;
    assert!(end >= image.end, "not enough memory: lowmem ends at {end:#x}");
    LOWMEM_END.store(end, Ordering::Relaxed);

    for virt in mode::LOADED_AT_ONCE {
        tables_for(virt, levels() - 1);
    }
    map_range(0..end, DIRECT_MAP_BASE);
    if IMAGE_BASE != DIRECT_MAP_BASE {
        map_range(image, IMAGE_BASE);
    }
    // SAFETY: the new tables map all that is in use (image, stack, lowmem) where the boot tables do.
    unsafe { enter(0) };
}

/// Switches this CPU, which is number `cpu`, to the final tables, and says how it keeps their translations.
///
/// # Safety
///
/// They are built, and map all that this CPU uses.
pub(crate) unsafe fn enter(cpu: usize) {
    let top = if COPIES > 1 { &POOL[cpu] } else { &POOL[0] };
    // SAFETY: by this function's contract.
    unsafe { cr3_write(top.physical()) };
    // SAFETY: CR3 has no PCID in its low bits.
    unsafe { keep_translations() };
}

/// Turns on global translations if the kernel wants them, and then PCIDs if there are such. This kernel uses one, number 0: with it, what
/// is not global behaves as in a kernel that has more.
///
/// # Safety
///
/// The low twelve bits of CR3 are 0.
unsafe fn keep_translations() {
    const PCID: u32 = 1 << 17;
    if !GLOBAL_TRANSLATIONS {
        return;
    }
    let has_pcids = __cpuid(1).ecx & PCID != 0;
    // SAFETY: `init` has seen that there is PGE. PCIDE is allowed in 64-bit mode, with these bits 0 (SDM vol. 3, 5.10.1).
    unsafe {
        let mut features = cr4() | Cr4::CR4_ENABLE_GLOBAL_PAGES;
        features.set(Cr4::CR4_ENABLE_PCID, cfg!(target_arch = "x86_64") && has_pcids);
        cr4_write(features);
    }
}

/// The kernel's own top table, for address spaces to copy its entries: it is final from now on.
pub(crate) fn final_root() -> u64 {
    TOP_IS_FINAL.store(true, Ordering::SeqCst);
    POOL[0].physical()
}

/// The kernel's own top table, as this CPU has it.
pub(crate) fn kernel_root() -> u64 {
    POOL[if CPUS_DIFFER { cpu::number() } else { 0 }].physical()
}

/// Whether each CPU has a top table of its own, with its own window.
pub(crate) const CPUS_DIFFER: bool = COPIES > 1;

/// Where each CPU has its own window, an address space has its top table once, and each CPU a copy with its own part of the kernel.
pub(crate) struct LiveRoots([Table; COPIES]);

impl LiveRoots {
    pub const fn new() -> Self {
        Self([const { Table::new() }; _])
    }

    /// Has the copy of this CPU say what the top table at `root`, in lowmem, says of user space; says whether it has said something else.
    ///
    /// # Safety
    ///
    /// Only this CPU uses its copy. It stays on it.
    pub unsafe fn refresh(&self, root: u64) -> bool {
        let mut changes = false;
        let cpu = if CPUS_DIFFER { cpu::number() } else { 0 };
        let (own, users) = (&self.0[cpu], index(DIRECT_MAP_BASE, levels()));
        for index in 0..ENTRIES {
            let new = if index < users { entry(root, index) } else { POOL[cpu].get(index) };
            if (own.get(index) ^ new) & !ACCESSED != 0 {
                changes = true;
                let at = own.0.get().cast::<Raw>().wrapping_add(index);
                // SAFETY: an entry of the copy, which this CPU has for itself: nobody else writes it, and no table that it leads to is freed
                // before this CPU has flushed it.
                unsafe {
                    mode::clear(at);
                    mode::write(at, new);
                }
            }
        }
        changes
    }

    /// Where the copy of this CPU is.
    pub fn physical(&self) -> u64 {
        self.0[if CPUS_DIFFER { cpu::number() } else { 0 }].physical()
    }
}

/// Maps the device whose registers are at `phys`, a whole page, at `virt`, on all CPUs: uncached, writable, never executable.
pub(crate) fn map_device(virt: usize, phys: u64) {
    const UNCACHED: u64 = 0x18;
    set_in_all(tables_for(virt, 1), index(virt, 1), page(phys, true, has_nx()) | UNCACHED);
}

/// Takes the direct map out of the page tables, for good, and has all CPUs forget it.
///
/// The kernel needs none of it: text, data, heap, stacks, what each CPU has, and all page tables are in the image, which has a mapping of its own.
pub(crate) fn drop_direct_map(task: &mut Task<'_>) {
    for virt in (DIRECT_MAP_BASE..DIRECT_MAP_BASE + lowmem_end()).step_by(TABLE_SPAN) {
        for directory in tables_for(virt, 2) {
            // SAFETY: inside the table. Nobody uses what is behind it any more: by `HAS_DIRECT_MAP`, no address there is made.
            unsafe { mode::clear(directory.0.get().cast::<Raw>().add(index(virt, 2))) };
        }
    }
    // SAFETY: ring 0; each call stays on its CPU.
    let flush = || unsafe { X86::flush_all() };
    ipi::call_on_others_with(task, &|_| flush());
    flush();
}

/// Maps these physical addresses, which are whole pages, `base` higher.
fn map_range(range: Range<usize>, base: usize) {
    let mut tables = None;
    for phys in range.step_by(PAGE_SIZE) {
        let virt = phys + base;
        let index = index(virt, 1);
        if index == 0 {
            tables = None;
        }
        let tables = tables.get_or_insert_with(|| tables_for(virt, 1));
        if let Some(entry) = entry_for(phys, virt) {
            set_in_all(tables, index, entry);
        }
    }
}

/// The entry that maps a physical address of lowmem at `virt`; `None` if it is to be missing.
///
/// What the image is not allowed at its own address, it is not allowed in the direct map either; and there it is never executable.
fn entry_for(phys: usize, virt: usize) -> Option<u64> {
    let linked = phys + IMAGE_BASE;
    let (text, rodata) = (text().contains(&linked), rodata().contains(&linked));
    let executable = text && virt == linked;
    (!boot::is_stack_guard(linked)).then(|| page(phys as u64, !text && !rodata, has_nx() && !executable))
}
