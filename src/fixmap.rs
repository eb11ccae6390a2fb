//! The window: a fixed range of virtual addresses, one page for each slot of each CPU, and the page tables behind it.
//!
//! In C the window's entries are found by arithmetic on a pointer to the first one, which is right only while all page
//! tables of the range lie one after the other in memory, and while the number of CPUs times the number of slots fits. Both
//! have been wrong in real kernels; the result is that a CPU writes an entry of something else.
//!
//! The rule (I9): the entries are one array, and its length is checked against the kernel's own numbers when the kernel is
//! compiled.
//!
//! The types say it: [`Fixmap`] is that array, a `static` of the kernel, and can only be made for a kernel whose slots fit.
//!
//! There are two layouts. A [`Fixmap`] is shared, and each CPU has a part of it: the tables are linked once, and a CPU has to know its
//! number to find its slots. A [`CpuFixmap`] belongs to one CPU, which sees it through a top-level table of its own, at the same
//! virtual addresses as each other CPU sees its own: nothing has to be known, and addresses are constants.

use core::cell::UnsafeCell;
use core::hint;
use core::marker::PhantomData;
use core::ptr;

use const_panic::concat_panic;
use typenum::Unsigned;

use crate::batch::BatchType;
use crate::debug;
use crate::kernel::Kernel;
use crate::machine::Address;
use crate::page::Pfn;
use crate::paging::{MemoryType, PAGE_SHIFT, PAGE_SIZE, Paging, Protection};
use crate::slot::{Group, KmType, KmTypes};

/// One page table, which only the processor and this crate look into.
#[repr(C, align(4096))]
pub struct PageTable(UnsafeCell<[u32; PAGE_SIZE / size_of::<u32>()]>);

// SAFETY: I1: each entry is written by the holder of its token alone, and read by nobody else but page walkers.
unsafe impl Sync for PageTable {}

impl PageTable {
    /// A table that maps nothing.
    pub const fn empty() -> Self {
        Self(UnsafeCell::new([0; _]))
    }
}

/// The page tables behind a kernel's window: `TABLES` pages in a row.
///
/// The kernel has one as a `static`, and puts the physical addresses of its [`tables`](Self::tables) into its page directory.
#[repr(transparent)]
pub struct Fixmap<const TABLES: usize>([PageTable; TABLES]);

impl<const TABLES: usize> Fixmap<TABLES> {
    /// Empty tables for the kernel `K`.
    ///
    /// As the value of a `static`, it does not compile if the slots of all CPUs do not fit into `TABLES` tables, or if the
    /// window is not aligned. Elsewhere it panics, and [`kmap_atomic`](crate::kmap_atomic) for such a kernel does not compile.
    #[track_caller]
    pub const fn new<K: Kernel<Fixmap = Self>>() -> Self {
        Window::<K>::check();
        Self([const { PageTable::empty() }; TABLES])
    }

    /// Uses tables that the kernel has allocated itself.
    ///
    /// Does not compile if the slots of all CPUs do not fit, as with [`new`](Self::new).
    ///
    /// # Safety
    /// `tables` are `TABLES` pages in a row, zeroed, and from now on of this crate's and the processor's use alone.
    pub const unsafe fn from_tables<K: Kernel<Fixmap = Self>>(tables: &'static [PageTable; TABLES]) -> &'static Self {
        const { Window::<K>::CHECKED };
        // SAFETY: I9: `Fixmap` is a transparent wrapper of the array, whose length has just been checked.
        unsafe { &*(&raw const *tables).cast() }
    }

    /// The tables, in the order of the addresses that they stand for: for the kernel's page directory.
    pub const fn tables(&self) -> &[PageTable; TABLES] {
        &self.0
    }
}

/// The page tables behind one CPU's window, which is at the same virtual addresses on each CPU.
///
/// The kernel has one for each CPU, and a top-level table for each CPU, which leads to that CPU's own here and is the same elsewhere.
/// Code finds the tables of the CPU that it runs on at the window's end: they map themselves there.
///
/// ```
/// # use highmem::{Kernel, Pfn, fixmap::CpuFixmap};
/// # struct Tables<K>(core::marker::PhantomData<K>);
/// # impl<K: Kernel<Fixmap = CpuFixmap<1>>> Tables<K> {
/// /// For `Kernel::fixmap`.
/// fn fixmap() -> &'static CpuFixmap<1> {
///     // SAFETY: each CPU calls `init` before it maps anything.
///     unsafe { CpuFixmap::here::<K>() }
/// }
///
/// fn init(tables: &'static CpuFixmap<1>, frame: Pfn<K::Paging>) {
///     // (puts `frame` into this CPU's page directory, for `FIXMAP_BASE`)
///     // SAFETY: the frame is that of the table.
///     unsafe { tables.map_themselves::<K>([frame]) };
/// }
/// # }
/// ```
#[repr(transparent)]
pub struct CpuFixmap<const TABLES: usize>([PageTable; TABLES]);

impl<const TABLES: usize> CpuFixmap<TABLES> {
    /// Empty tables for a CPU of kernel `K`.
    ///
    /// As the value of a `static`, it does not compile if the slots of a CPU do not fit into `TABLES` tables, if the window is not
    /// aligned, or if it ends where the address space does. Elsewhere it panics, and [`kmap_atomic`](crate::kmap_atomic) for such a kernel does not compile.
    #[track_caller]
    pub const fn new<K: Kernel<Fixmap = Self>>() -> Self {
        Window::<K>::check();
        Self([const { PageTable::empty() }; TABLES])
    }

    /// The tables, in the order of the addresses that they stand for: for the CPU's page directory.
    pub const fn tables(&self) -> &[PageTable; TABLES] {
        &self.0
    }

    /// Has these tables map themselves at the end of their window, where [`here`](Self::here) finds them: once, before the CPU uses the
    /// window.
    ///
    /// # Safety
    /// `frames` are those of [`tables`](Self::tables), in their order, and nobody uses the window of these tables yet.
    pub unsafe fn map_themselves<K: Kernel<Fixmap = Self>>(&'static self, frames: [Pfn<K::Paging>; TABLES]) {
        let cache = const { K::PAT.index_of(MemoryType::WriteBack) };
        let (no_execute, global) = (K::no_execute(), K::TRANSLATIONS.are_global());
        let protection = Protection::new(true).cache(cache).global(global).no_execute(no_execute);
        let first: *mut <K::Paging as Paging>::Entry = (&raw const *self).cast_mut().cast();
        for (index, frame) in frames.into_iter().enumerate() {
            // SAFETY: I9: `new` has checked that there is room behind the slots; nobody else writes there.
            unsafe {
                let entry = first.add(Window::<K>::SLOT_ENTRIES + index);
                K::Paging::set::<K::Machine>(entry, K::Paging::entry(frame.number(), protection));
            }
        }
    }

    /// The tables of the CPU that this code runs on.
    ///
    /// # Safety
    /// This CPU's tables are linked at [`Kernel::FIXMAP_BASE`], and [map themselves](Self::map_themselves).
    #[inline]
    pub const unsafe fn here<K: Kernel<Fixmap = Self>>() -> &'static Self {
        let address = const { K::FIXMAP_BASE + Window::<K>::SLOT_ENTRIES * PAGE_SIZE };
        // SAFETY: the caller's promise: the tables are there. Their entries are in cells, so it does not matter that they are other
        // tables on another CPU.
        unsafe { &*ptr::with_exposed_provenance(address) }
    }
}

/// A number of page tables in a row: [`Fixmap`] or [`CpuFixmap`]. Sealed.
pub trait FixmapTables: sealed::Sealed + Sync + 'static {
    /// How many.
    const TABLES: usize;
    /// Whether each CPU has its own.
    const OF_ONE_CPU: bool;
}

impl<const TABLES: usize> FixmapTables for Fixmap<TABLES> {
    const TABLES: usize = TABLES;
    const OF_ONE_CPU: bool = false;
}

impl<const TABLES: usize> FixmapTables for CpuFixmap<TABLES> {
    const TABLES: usize = TABLES;
    const OF_ONE_CPU: bool = true;
}

impl<const TABLES: usize> sealed::Sealed for Fixmap<TABLES> {}
impl<const TABLES: usize> sealed::Sealed for CpuFixmap<TABLES> {}

mod sealed {
    pub trait Sealed {}
}

/// The slots of a CPU, each with its name and its virtual address, and then the pages of each [batch](crate::batch): for reports. With a
/// [`CpuFixmap`], they are the same for all.
pub fn slots_of_cpu<K: Kernel>(cpu: usize) -> impl Iterator<Item = (&'static str, usize)> {
    let slots = (0..Window::<K>::SLOTS).map(move |slot| (Window::<K>::name(slot), Window::<K>::place(cpu, slot).0));
    let batches = K::KmTypes::BATCHES.iter().enumerate().flat_map(move |(index, batch)| {
        let first = Window::<K>::batch_place(cpu, index).0;
        (0..batch.pages).map(move |page| (batch.name, first + page * PAGE_SIZE))
    });
    slots.chain(batches)
}

/// The pages of a CPU whose entries have the notes of its lazy slots, each with the slot's name: nothing is mapped there.
#[cfg(all(feature = "model", target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn notes_of_cpu<K: Kernel>(cpu: usize) -> impl Iterator<Item = (&'static str, usize)> {
    let lazy = (0..Window::<K>::NAMED).filter(|&slot| !debug::ON && K::KmTypes::LAZY[slot]);
    lazy.map(move |slot| {
        let note = Window::<K>::note(slot, Window::<K>::place(cpu, slot).1);
        let page =
            note.addr().wrapping_sub(Window::<K>::first_entry().addr()) / size_of::<<K::Paging as Paging>::Entry>();
        (Window::<K>::name(slot), K::FIXMAP_BASE + (page << PAGE_SHIFT))
    })
}

/// The address of slot `S`, where it has [one](Window::ONE_PLACE).
pub(crate) struct SlotAddress<K, S>(PhantomData<(K, S)>);

impl<K: Kernel, S: KmType<Set = K::KmTypes>> Address for SlotAddress<K, S> {
    const ADDRESS: usize = K::FIXMAP_BASE + (Window::<K>::page(0, S::PLACE) << PAGE_SHIFT);
}

/// The address of the window.
pub(crate) struct WindowBase<K>(PhantomData<K>);

impl<K: Kernel> Address for WindowBase<K> {
    const ADDRESS: usize = K::FIXMAP_BASE;
}

/// The arithmetic of kernel `K`'s window.
pub(crate) struct Window<K>(PhantomData<K>);

impl<K: Kernel> Window<K> {
    pub(crate) const CPUS: usize = <K::Cpus as Unsigned>::USIZE;
    /// How many CPUs' slots are here.
    pub(crate) const CPUS_HERE: usize = if Self::OF_ONE_CPU { 1 } else { Self::CPUS };
    pub(crate) const OF_ONE_CPU: bool = <K::Fixmap as FixmapTables>::OF_ONE_CPU;
    /// How many slots have names.
    pub(crate) const NAMED: usize = <<K::KmTypes as KmTypes>::Count as Unsigned>::USIZE;
    /// These, and behind them those of local maps.
    pub(crate) const SLOTS: usize = Self::NAMED + K::LOCALS.count();

    /// With the feature `debug`, there is an unmapped page before each slot, and one behind the last.
    const FENCES: usize = if debug::ON { Self::SLOTS + 1 } else { 0 };
    /// The batches are behind that, each with a fence of its own behind it.
    const PAGES_PER_CPU: usize =
        Self::SLOTS + Self::FENCES + Self::before_batch(K::KmTypes::BATCHES.len()) + Self::NOTES;
    /// Behind all that, each [lazy](crate::lazy) slot has a page that is never mapped: in its entry is the note of what the slot keeps.
    const NOTES: usize = if debug::ON { 0 } else { Self::lazy_before(Self::NAMED) };
    const PAGES_PER_SLOT: usize = if debug::ON { 2 } else { 1 };

    /// Whether a slot is at one address, whichever CPU this is: then the address and that of its entry are parts of the code.
    pub(crate) const ONE_PLACE: bool = Self::CPUS_HERE == 1 && !debug::ON;

    const TABLES: usize = <K::Fixmap as FixmapTables>::TABLES;
    const ENTRIES: usize = Self::TABLES * <K::Paging as Paging>::ENTRIES_PER_TABLE;

    /// How many of them are there for slots: the tables of one CPU also map themselves.
    const SLOT_ENTRIES: usize = if Self::OF_ONE_CPU { Self::ENTRIES - Self::TABLES } else { Self::ENTRIES };

    /// I9.
    const CHECKED: () = Self::check();

    /// I9. Reports the caller's line.
    #[track_caller]
    const fn check() {
        let span = <K::Paging as Paging>::ENTRIES_PER_TABLE * PAGE_SIZE;
        if !K::FIXMAP_BASE.is_multiple_of(span) {
            concat_panic!("FIXMAP_BASE ", {#X}: K::FIXMAP_BASE, " is not a multiple of what one page table covers, ", {#X}: span);
        }
        if K::FIXMAP_BASE.checked_add((Self::ENTRIES * PAGE_SIZE).saturating_sub(1)).is_none() {
            concat_panic!("FIXMAP_BASE ", {#X}: K::FIXMAP_BASE, " leaves no room for ", Self::ENTRIES, " pages below the end of memory");
        }
        // A reference leads to the tables there, and Rust has no value that ends where the addresses do.
        if Self::OF_ONE_CPU && K::FIXMAP_BASE.checked_add(Self::ENTRIES * PAGE_SIZE).is_none() {
            concat_panic!(
                "FIXMAP_BASE ",
                {#X}: K::FIXMAP_BASE,
                " has the window end with the last page of memory, where its own tables cannot show: move it down",
            );
        }
        let mut batch = 0;
        while batch < K::KmTypes::BATCHES.len() {
            if K::KmTypes::BATCHES[batch].pages == 0 {
                concat_panic!("the batch ", display: K::KmTypes::BATCHES[batch].name, " has room for no page");
            }
            batch += 1;
        }
        if Self::CPUS_HERE * Self::PAGES_PER_CPU > Self::SLOT_ENTRIES && (batch > 0 || Self::NOTES > 0) {
            concat_panic!(
                "the fixmap window is too small: ",
                Self::CPUS_HERE,
                display: if Self::OF_ONE_CPU { " CPU x " } else { " CPUs x " },
                Self::PAGES_PER_CPU,
                display: match (batch > 0, Self::NOTES > 0) {
                    _ if debug::ON => " pages of slots, batches and fences need ",
                    (true, true) => " pages of slots, batches and lazy slots' notes need ",
                    (true, false) => " pages of slots and batches need ",
                    (false, _) => " pages of slots and lazy slots' notes need ",
                },
                Self::CPUS_HERE * Self::PAGES_PER_CPU,
                " page-table entries, and ",
                Self::TABLES,
                display: if Self::OF_ONE_CPU { " page table(s), which map themselves, have " } else { " page table(s) have " },
                Self::SLOT_ENTRIES,
            );
        }
        if Self::CPUS_HERE * Self::PAGES_PER_CPU > Self::SLOT_ENTRIES {
            concat_panic!(
                "the fixmap window is too small: ",
                Self::CPUS_HERE,
                display: if Self::OF_ONE_CPU { " CPU x " } else { " CPUs x " },
                Self::SLOTS,
                display: if debug::ON { " slots with fences need " } else { " slots need " },
                Self::CPUS_HERE * Self::PAGES_PER_CPU,
                " page-table entries, and ",
                Self::TABLES,
                display: if Self::OF_ONE_CPU { " page table(s), which map themselves, have " } else { " page table(s) have " },
                Self::SLOT_ENTRIES,
            );
        }
    }

    /// The address of slot `S` on this CPU, and its entry.
    #[inline]
    #[track_caller]
    pub(crate) fn slot<S: KmType<Set = K::KmTypes>>() -> (usize, *mut <K::Paging as Paging>::Entry) {
        const { Self::CHECKED };
        let cpu = if Self::ONE_PLACE { 0 } else { K::cpu() };
        if debug::ON {
            debug::check_cpu::<K>(S::NAME, cpu);
        }
        // SAFETY: I9: `Kernel::cpu` promises it.
        unsafe { hint::assert_unchecked(cpu < Self::CPUS) };
        let (address, _) = Self::place(cpu, S::PLACE);
        // SAFETY: I9: the slots of all CPUs fit, as `CHECKED` says. Knowing it, the compiler need not ask again when it unmaps.
        unsafe { hint::assert_unchecked(Self::contains(address)) };
        // As when it is unmapped, so that it is worked out once.
        (address, Self::entry_of(address))
    }

    /// The address of the first page of batch `S` on this CPU, and its entry.
    #[inline]
    #[track_caller]
    pub(crate) fn batch<S: BatchType<Set = K::KmTypes>>() -> (usize, *mut <K::Paging as Paging>::Entry) {
        const { Self::CHECKED };
        let cpu = if Self::ONE_PLACE { 0 } else { K::cpu() };
        if debug::ON {
            debug::check_cpu::<K>(S::ENTRIES.name, cpu);
        }
        // SAFETY: I9: `Kernel::cpu` promises it.
        unsafe { hint::assert_unchecked(cpu < Self::CPUS) };
        Self::batch_place(cpu, S::INDEX)
    }

    /// The address of the first page of a batch of a CPU, and its entry.
    #[inline]
    pub(crate) fn batch_place(cpu: usize, index: usize) -> (usize, *mut <K::Paging as Paging>::Entry) {
        let page = Self::first_page(cpu) + Self::SLOTS + Self::FENCES + Self::before_batch(index);
        (K::FIXMAP_BASE + (page << PAGE_SHIFT), Self::first_entry().wrapping_add(page))
    }

    /// How many pages the batches before this one have, fences included.
    #[inline]
    const fn before_batch(index: usize) -> usize {
        let (mut pages, mut batch) = (0, 0);
        while batch < index {
            pages += K::KmTypes::BATCHES[batch].pages + debug::ON as usize;
            batch += 1;
        }
        pages
    }

    /// How many lazy slots there are before this one.
    const fn lazy_before(slot: usize) -> usize {
        let (mut count, mut before) = (0, 0);
        while before < slot {
            count += K::KmTypes::LAZY[before] as usize;
            before += 1;
        }
        count
    }

    /// The entry that has the note of a lazy slot, whose own is `pte`.
    #[inline]
    pub(crate) const fn note(slot: usize, pte: *mut <K::Paging as Paging>::Entry) -> *mut <K::Paging as Paging>::Entry {
        let first_note = Self::PAGES_PER_CPU - Self::NOTES;
        pte.wrapping_add(first_note + Self::lazy_before(slot) - Self::page(0, slot))
    }

    /// Whether a page that is mapped in slot `S`, or was found in the direct map, is in the slot.
    #[inline]
    pub(crate) fn is_slot<S: KmType<Set = K::KmTypes>>(address: usize) -> bool {
        if Self::ONE_PLACE { address == SlotAddress::<K, S>::ADDRESS } else { Self::contains(address) }
    }

    /// The name of a slot.
    pub(crate) fn name(slot: usize) -> &'static str {
        let name = K::KmTypes::NAMES.get(slot);
        name.copied().unwrap_or_else(|| K::LOCALS.name(slot - Self::NAMED))
    }

    /// What makes a slot exclusive.
    pub(crate) fn group(slot: usize) -> Group {
        let group = K::KmTypes::GROUPS.get(slot);
        group.copied().unwrap_or_else(|| K::LOCALS.group(slot - Self::NAMED))
    }

    /// The address of a slot of a CPU, and its entry.
    #[inline]
    pub(crate) fn place(cpu: usize, slot: usize) -> (usize, *mut <K::Paging as Paging>::Entry) {
        let page = Self::page(cpu, slot);
        (K::FIXMAP_BASE + (page << PAGE_SHIFT), Self::first_entry().wrapping_add(page))
    }

    /// Which page of the window a slot of a CPU is.
    #[inline]
    const fn page(cpu: usize, slot: usize) -> usize {
        Self::first_page(cpu) + slot * Self::PAGES_PER_SLOT + Self::PAGES_PER_SLOT - 1
    }

    /// The entry of the last fence of a CPU: the unmapped page behind its last slot, or its last batch.
    pub(crate) fn last_fence(cpu: usize) -> *mut <K::Paging as Paging>::Entry {
        Self::first_entry().wrapping_add(Self::first_page(cpu) + Self::PAGES_PER_CPU - 1)
    }

    /// Where a CPU's part of the window begins.
    #[inline]
    const fn first_page(cpu: usize) -> usize {
        if Self::OF_ONE_CPU { 0 } else { cpu * Self::PAGES_PER_CPU }
    }

    /// The entry behind an address of the window.
    #[inline]
    pub(crate) fn entry_of(address: usize) -> *mut <K::Paging as Paging>::Entry {
        Self::first_entry().wrapping_add(address.wrapping_sub(K::FIXMAP_BASE) >> PAGE_SHIFT)
    }

    /// Whether the address is one of the window.
    #[inline]
    pub(crate) fn contains(address: usize) -> bool {
        address.wrapping_sub(K::FIXMAP_BASE) < Self::ENTRIES << PAGE_SHIFT
    }

    #[inline]
    fn first_entry() -> *mut <K::Paging as Paging>::Entry {
        (&raw const *K::fixmap()).cast_mut().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_kernel::{FIXMAP_BASE, OfSize, SLOTS, TestKernel, page};
    use std::boxed::Box;
    use typenum::NonZero;
    use typenum::consts::{U2, U40, U170, U171, U256, U257, U512, U513};

    type W = Window<TestKernel<false>>;

    crate::km_types! {
        mod one {
            atomic { only: Only }
        }
    }

    crate::km_types! {
        mod kept {
            atomic { only: Only lazy }
        }
    }

    /// Whether a window for so many CPUs can be made.
    fn fits<T: KmTypes, C: Unsigned + NonZero + 'static, const BASE: usize, const TABLES: usize>() -> bool {
        std::panic::catch_unwind(|| _ = Fixmap::new::<OfSize<T, C, BASE, TABLES>>()).is_ok()
    }

    #[test]
    fn a_window_is_full_when_its_last_entry_is_in_use() {
        if debug::ON {
            assert!(fits::<one::Set, U170, FIXMAP_BASE, 1>());
            assert!(!fits::<one::Set, U171, FIXMAP_BASE, 1>());
            assert!(fits::<kept::Set, U170, FIXMAP_BASE, 1>());
        } else {
            assert!(fits::<one::Set, U512, FIXMAP_BASE, 1>());
            assert!(!fits::<one::Set, U513, FIXMAP_BASE, 1>());
            assert!(fits::<kept::Set, U256, FIXMAP_BASE, 1>());
            assert!(!fits::<kept::Set, U257, FIXMAP_BASE, 1>());
        }
        assert!(!fits::<crate::linux::Set, U40, FIXMAP_BASE, 1>());
        assert!(fits::<crate::linux::Set, U40, FIXMAP_BASE, 3>());
    }

    #[test]
    fn a_window_begins_where_a_table_does_and_ends_with_memory_at_the_latest() {
        const LAST: usize = 0_usize.wrapping_sub(2 << 20);
        assert!(fits::<one::Set, U2, LAST, 1>());
        assert!(!fits::<one::Set, U2, LAST, 2>());
        assert!(!fits::<one::Set, U2, { FIXMAP_BASE + PAGE_SIZE }, 1>());
        assert!(!fits::<one::Set, U2, { FIXMAP_BASE + (1 << 20) }, 1>());
    }

    #[test]
    fn a_table_is_a_page() {
        assert_eq!(size_of::<PageTable>(), PAGE_SIZE);
        assert_eq!(size_of::<CpuFixmap<3>>(), 3 * PAGE_SIZE);
    }

    #[test]
    fn the_kernel_can_bring_its_own_tables() {
        let tables: &'static [PageTable; 1] = Box::leak(Box::new([PageTable::empty()]));
        // SAFETY: I1: zeroed, and of no other use.
        let fixmap: &Fixmap<1> = unsafe { Fixmap::from_tables::<TestKernel<false>>(tables) };
        assert!(core::ptr::eq(fixmap.tables(), tables));
        assert!((&raw const *fixmap).addr().is_multiple_of(PAGE_SIZE), "a page table begins a page");
    }

    #[test]
    fn the_window_ends_where_its_tables_do() {
        assert!(!W::contains(FIXMAP_BASE - 1));
        assert!(W::contains(FIXMAP_BASE));
        assert!(W::contains(FIXMAP_BASE + 512 * PAGE_SIZE - 1));
        assert!(!W::contains(FIXMAP_BASE + 512 * PAGE_SIZE));
        assert!(!W::contains(0));
    }

    #[test]
    fn an_address_leads_back_to_its_entry() {
        let (address, entry) = W::slot::<crate::linux::Irq1>();
        assert_eq!(address, FIXMAP_BASE + page(0, SLOTS - 1) * PAGE_SIZE);
        assert_eq!(W::entry_of(address), entry);
    }
}
