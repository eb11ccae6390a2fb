//! One table, mapped in a slot: the only place that touches entries of address spaces.

use core::hint;
use core::marker::PhantomData;

use crate::atomic::{KmapAtomic, kmap_atomic, kunmap_atomic};
use crate::copy::{self, CopyBy};
use crate::kernel::Kernel;
use crate::page::{Page, Pfn, Volatile};
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Paging, Tables};
use crate::slot::{KmType, Slot};

/// The frame of a table, for as long as it belongs to a space or an obligation, which is borrowed for `'t`. Page walkers read it and write
/// it at any time.
#[derive(Debug)]
pub(super) struct TablePage<'t, M>(Pfn<M>, PhantomData<&'t ()>);

// SAFETY: I5, I6: the frame was taken from its owner by `TableFrame::into_pfn`, and nobody makes references into it; several CPUs may have
// it mapped.
unsafe impl<M: Paging> Page for TablePage<'_, M> {
    type Paging = M;
    type Access = Volatile;

    const IS_TABLE: bool = true;

    #[inline]
    fn pfn(&self) -> Pfn<M> {
        self.0
    }
}

/// A table, mapped in slot `S`.
pub(super) struct Table<'t, 'cx, K, S>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    mapping: KmapAtomic<'cx, K, S, TablePage<'t, K::Paging>>,
}

impl<'t, 'cx, K, S> Table<'t, 'cx, K, S>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    /// Maps a table, which belongs to somebody who is borrowed for `'t`.
    #[inline]
    #[track_caller]
    pub(super) fn map(slot: Slot<'cx, K, S>, pfn: Pfn<K::Paging>) -> Self {
        Self { mapping: kmap_atomic(slot, TablePage(pfn, PhantomData)) }
    }

    /// Unmaps, and gives the slot back.
    pub(super) fn unmap(self) -> Slot<'cx, K, S> {
        kunmap_atomic(self.mapping).0
    }

    pub(super) fn pfn(&self) -> Pfn<K::Paging> {
        self.mapping.pfn()
    }

    /// Where an entry is, for as long as the table is mapped.
    #[inline]
    pub(super) fn at(&self, index: usize) -> *mut u8 {
        debug_assert!(index < K::Paging::ENTRIES_PER_TABLE);
        self.mapping.start().wrapping_add(index * K::Paging::ENTRY_SIZE)
    }

    /// What an entry says now.
    #[inline]
    pub(super) fn load(&self, index: usize) -> u64 {
        // SAFETY: I4: mapped as long as `self` is there.
        unsafe { K::Paging::load::<K::Machine>(self.at(index)) }
    }

    /// Replaces an entry, if it says `current`.
    #[inline]
    pub(super) fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64> {
        // SAFETY: I4, I10: mapped writable as long as `self` is there; entries in use are changed in this way alone.
        unsafe { K::Paging::exchange::<K::Machine>(self.at(index), current, new) }
    }

    /// Replaces an entry, whatever it says.
    pub(super) fn replace(&self, index: usize, new: u64) {
        let mut current = self.load(index);
        while let Err(now) = self.exchange(index, current, new) {
            current = now;
            hint::spin_loop();
        }
    }

    /// Empties all entries of a table that is not in use.
    pub(super) fn clear(&self) {
        // Not as the kernel says: it is for a page that is filled right away.
        // SAFETY: I4, I6: the whole page, mapped writable as long as `self` is there.
        unsafe { copy::fill(CopyBy::Words, self.mapping.start(), 0, PAGE_SIZE) };
    }

    /// Writes an entry of a table that is not in use.
    #[inline]
    pub(super) fn write(&self, index: usize, entry: u64) {
        let at = self.at(index);
        // SAFETY: I4, I10: mapped writable as long as `self` is there, and no page walker comes here before the table is linked.
        unsafe {
            if K::Paging::ENTRY_SIZE == size_of::<u32>() {
                at.cast::<u32>().write_volatile(entry as u32);
            } else {
                at.cast::<u64>().write_volatile(entry);
            }
        }
    }

    /// Whether no entry is present.
    pub(super) fn is_empty(&self) -> bool {
        (0..K::Paging::ENTRIES_PER_TABLE).all(|index| {
            // SAFETY: I4: mapped as long as `self` is there. The word with the present bit is the first.
            unsafe { self.at(index).cast::<u32>().read_volatile() & 1 == 0 }
        })
    }

    /// The table behind this one in a chain of tables that are not in use. For page walkers that come here still, the entry is not present.
    pub(super) fn next_of_chain(&self) -> Option<Pfn<K::Paging>> {
        Pfn::new(self.load(0) >> PAGE_SHIFT).ok()
    }

    /// Puts `next` behind this table.
    pub(super) fn set_next_of_chain(&self, next: Option<Pfn<K::Paging>>) {
        self.replace(0, next.map_or(0, Pfn::address));
    }
}
