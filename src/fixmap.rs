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

use core::cell::UnsafeCell;
use core::hint;
use core::marker::PhantomData;

use const_panic::concat_panic;
use typenum::Unsigned;

use crate::debug;
use crate::kernel::Kernel;
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Paging};
use crate::slot::{KmType, KmTypes};

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

/// A number of page tables in a row: [`Fixmap`]. Sealed.
pub trait FixmapTables: sealed::Sealed + Sync + 'static {
    /// How many.
    const TABLES: usize;
}

impl<const TABLES: usize> FixmapTables for Fixmap<TABLES> {
    const TABLES: usize = TABLES;
}

impl<const TABLES: usize> sealed::Sealed for Fixmap<TABLES> {}

mod sealed {
    pub trait Sealed {}
}

/// The slots of a CPU, each with its name and its virtual address: for reports.
pub fn slots_of_cpu<K: Kernel>(cpu: usize) -> impl Iterator<Item = (&'static str, usize)> {
    K::KmTypes::NAMES.iter().enumerate().map(move |(slot, &name)| (name, Window::<K>::place(cpu, slot).0))
}

/// The arithmetic of kernel `K`'s window.
pub(crate) struct Window<K>(PhantomData<K>);

impl<K: Kernel> Window<K> {
    pub(crate) const CPUS: usize = <K::Cpus as Unsigned>::USIZE;
    pub(crate) const SLOTS: usize = <<K::KmTypes as KmTypes>::Count as Unsigned>::USIZE;

    /// With the feature `debug`, there is an unmapped page before each slot, and one behind the last.
    const FENCES: usize = if debug::ON { Self::SLOTS + 1 } else { 0 };
    const PAGES_PER_CPU: usize = Self::SLOTS + Self::FENCES;
    const PAGES_PER_SLOT: usize = if debug::ON { 2 } else { 1 };

    const ENTRIES: usize = <K::Fixmap as FixmapTables>::TABLES * <K::Paging as Paging>::ENTRIES_PER_TABLE;

    /// I9.
    const CHECKED: () = Self::check();

    /// I9. Reports the caller's line.
    #[track_caller]
    const fn check() {
        let span = <K::Paging as Paging>::ENTRIES_PER_TABLE * PAGE_SIZE;
        if !K::FIXMAP_BASE.is_multiple_of(span) {
            concat_panic!("FIXMAP_BASE ", {#X}: K::FIXMAP_BASE, " is not a multiple of what one page table covers, ", {#X}: span);
        }
        if K::FIXMAP_BASE.checked_add(Self::ENTRIES * PAGE_SIZE - 1).is_none() {
            concat_panic!("FIXMAP_BASE ", {#X}: K::FIXMAP_BASE, " leaves no room for ", Self::ENTRIES, " pages below the end of memory");
        }
        if Self::CPUS * Self::PAGES_PER_CPU > Self::ENTRIES {
            concat_panic!(
                "the fixmap window is too small: ",
                Self::CPUS,
                " CPUs x ",
                Self::SLOTS,
                display: if debug::ON { " slots with fences need " } else { " slots need " },
                Self::CPUS * Self::PAGES_PER_CPU,
                " page-table entries, and ",
                <K::Fixmap as FixmapTables>::TABLES,
                " page table(s) have ",
                Self::ENTRIES,
            );
        }
    }

    /// The address of slot `S` on this CPU, and its entry.
    #[inline]
    #[track_caller]
    pub(crate) fn slot<S: KmType<Set = K::KmTypes>>() -> (usize, *mut <K::Paging as Paging>::Entry) {
        const { Self::CHECKED };
        let cpu = K::cpu();
        if debug::ON {
            debug::check_cpu::<K, S>(cpu);
        }
        // SAFETY: I9: `Kernel::cpu` promises it.
        unsafe { hint::assert_unchecked(cpu < Self::CPUS) };
        let (address, entry) = Self::place(cpu, <S::Index as Unsigned>::USIZE);
        // SAFETY: I9: the slots of all CPUs fit, as `CHECKED` says. Knowing it, the compiler need not ask again when it unmaps.
        unsafe { hint::assert_unchecked(Self::contains(address)) };
        (address, entry)
    }

    /// The address of a slot of a CPU, and its entry.
    #[inline]
    pub(crate) fn place(cpu: usize, slot: usize) -> (usize, *mut <K::Paging as Paging>::Entry) {
        let page = cpu * Self::PAGES_PER_CPU + slot * Self::PAGES_PER_SLOT + Self::PAGES_PER_SLOT - 1;
        (K::FIXMAP_BASE + (page << PAGE_SHIFT), Self::first_entry().wrapping_add(page))
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
    use crate::test_kernel::{FIXMAP_BASE, SLOTS, TestKernel, page};
    use std::boxed::Box;

    type W = Window<TestKernel<false>>;

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
