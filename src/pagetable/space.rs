//! An address space: the tree of tables, and who owns it.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

use super::edit::Editor;
use super::entry::{Entry, EntryMut, Leaf, Place, Pte};
use super::flush::MustFlush;
use super::table::Table;
use super::walk::Each;
use super::{Error, Pages, TableFrame, TableSource, numbers};
use crate::kernel::{Kernel, PageTableKernel};
use crate::page::Pfn;
use crate::paging::{Content, Flags, Layout};
use crate::slot::{Invariant, KmType, Slot};

/// A tree of page tables, which owns their frames: for a span of addresses. What the top-level table says of others belongs to others, such as
/// the kernel's part, which all address spaces share.
///
/// It has no address of any of its tables, and no state beside them: each operation maps what it needs, in slots that it is lent.
/// [Editing](Self::edit) takes `&mut`, looking takes `&`, from several CPUs at once, as the kernel's lock has it.
///
/// Dropping it loses its tables. To free them, [unmap](Editor::unmap) the whole span, flush, and free the [root](Self::into_root).
pub struct AddressSpace<K: Kernel, F> {
    pub(super) root: Pfn<K::Paging>,
    pub(super) layout: Layout<K::Paging>,
    /// The numbers of its pages.
    pub(super) span: Range<usize>,
    kernel: Invariant<K>,
    frames: PhantomData<F>,
}

/// A frame that cannot be the top-level table of such an address space. It comes back.
pub struct RejectedRoot<F> {
    /// The frame.
    pub frame: F,
    /// Why.
    pub why: Error,
}

impl<F> fmt::Display for RejectedRoot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

// Whatever the frame is: so that `unwrap` is there for all of them.
impl<F> fmt::Debug for RejectedRoot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedRoot").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<F> core::error::Error for RejectedRoot<F> {}

impl<K: PageTableKernel, F: TableFrame<Paging = K::Paging>> AddressSpace<K, F> {
    /// An address space in which nothing is mapped, for these addresses. The top-level table is emptied, in `slot`.
    ///
    /// # Errors
    /// When the span is none of whole pages at addresses that there are, or the frame cannot be a top-level table: with PAE, it is below 4 GiB.
    pub fn new<S>(
        slot: Slot<'_, K, S>,
        root: F,
        span: Pages,
        layout: Layout<K::Paging>,
    ) -> Result<Self, RejectedRoot<F>>
    where
        S: KmType<Set = K::KmTypes>,
    {
        // SAFETY: no CPU uses the table, and it is empty in a moment.
        let space = unsafe { Self::adopt(root, span, layout) }?;
        Table::<K, S>::map(slot, space.root).clear();
        Ok(space)
    }

    /// An address space that is there already, such as the one that the boot code made.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Safety
    /// `root` is a top-level table, and its entries for addresses of the span, and all below them, are from now on this value's alone: all
    /// tables there are frames on which [`TableFrame::from_pfn`] can be called, once, and for what pages there are, holds what [`Editor::map`]
    /// asks.
    pub unsafe fn adopt(root: F, span: Pages, layout: Layout<K::Paging>) -> Result<Self, RejectedRoot<F>> {
        let span = match numbers(layout, span) {
            Ok(span) => span,
            Err(why) => return Err(RejectedRoot { frame: root, why }),
        };
        let root = root.into_pfn();
        if !layout.reaches_root(root) {
            // SAFETY: just now, it was a value.
            let frame = unsafe { F::from_pfn(root) };
            return Err(RejectedRoot { frame, why: Error::OutOfReach { pfn: root.number() } });
        }
        Ok(Self { root, layout, span, kernel: PhantomData, frames: PhantomData })
    }

    /// Has the top-level entries outside of the span refer to the tables that those of `other` refer to: for the kernel's part, which all
    /// address spaces share. Both top-level tables are mapped. Linux: `clone_pgd_range()`.
    ///
    /// # Safety
    /// `other` is a top-level table of the same layout, and what it refers to there stays for as long as this address space is in use. No CPU
    /// uses this one yet.
    pub unsafe fn share_rest<S, T>(&mut self, slot: Slot<'_, K, S>, other_slot: Slot<'_, K, T>, other: Pfn<K::Paging>)
    where
        S: KmType<Set = K::KmTypes>,
        T: KmType<Set = K::KmTypes>,
    {
        let to = Table::<K, S>::map(slot, self.root);
        let from = Table::<K, T>::map(other_slot, other);
        let level = self.layout.levels();
        let shift = Layout::<K::Paging>::shift(level);
        let own = self.span.start >> shift..(self.span.end + (1 << shift) - 1) >> shift;
        let all = 0..1 << (self.layout.page_bits() - shift);
        for index in all.filter(|index| !own.contains(index)) {
            to.replace(index, from.load(index));
        }
    }

    /// The frame of the top-level table: for CR3.
    pub fn root(&self) -> Pfn<K::Paging> {
        self.root
    }

    /// How its tables are laid out.
    pub fn layout(&self) -> Layout<K::Paging> {
        self.layout
    }

    /// The addresses that it is for.
    pub fn span(&self) -> Pages {
        Pages { start: self.layout.address(self.span.start), count: self.span.end - self.span.start }
    }

    /// Gives the top-level table back. Tables below it that were not [unmapped](Editor::unmap) before are lost.
    ///
    /// # Safety
    /// No CPU uses the address space from now on, and what was changed last was flushed.
    pub unsafe fn into_root(self) -> F {
        // SAFETY: I5: it came from such a value, and nobody uses it any more.
        unsafe { F::from_pfn(self.root) }
    }

    /// The right to change what is mapped: with these two slots, and tables from this source.
    pub fn edit<'e, 'cx, S, T, A>(
        &'e mut self,
        slot: Slot<'cx, K, S>,
        second_slot: Slot<'cx, K, T>,
        source: &'e mut A,
    ) -> Editor<'e, 'cx, K, F, S, T, A>
    where
        S: KmType<Set = K::KmTypes>,
        T: KmType<Set = K::KmTypes>,
        A: TableSource<Frame = F>,
    {
        Editor { space: self, slot, second_slot, source }
    }

    /// What an address is translated to, with what all levels allow together; `None` if nothing is mapped there.
    ///
    /// # Errors
    /// When the address is not one of the space, or an entry on the way is corrupt.
    #[track_caller]
    pub fn translate<S>(&self, slot: Slot<'_, K, S>, address: usize) -> Result<Option<Leaf<K::Paging>>, Error>
    where
        S: KmType<Set = K::KmTypes>,
    {
        let page = self.page_of(address)?;
        let Found { table, place, limits, .. } = self.find(slot, page, 1)?;
        let leaf = place.leaf::<K>(table.load(Layout::<K::Paging>::index(place.level, page)))?;
        Ok(leaf.map(|leaf| Leaf { flags: leaf.flags.limited_by(limits), ..leaf }))
    }

    /// The entry that maps an address, or would if it were not empty; its table stays mapped for as long as it is there. Linux:
    /// `pte_offset_map()`.
    ///
    /// # Errors
    /// When there is no page table, and no large page: [`Error::NotMapped`]. When the address is not one of the space, or an entry on the way is
    /// corrupt.
    #[track_caller]
    pub fn entry<'t, 'cx, S>(&'t self, slot: Slot<'cx, K, S>, address: usize) -> Result<Entry<'t, 'cx, K, S, F>, Error>
    where
        S: KmType<Set = K::KmTypes>,
    {
        let Found { table, place, is_end, .. } = self.descend(slot, self.page_of(address)?, 1)?;
        if is_end { Ok(Entry::new(table, place)) } else { Err(Error::NotMapped { address }) }
    }

    /// As [`entry`](Self::entry), to be changed.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    #[track_caller]
    pub fn entry_mut<'t, 'cx, S>(
        &'t mut self,
        slot: Slot<'cx, K, S>,
        address: usize,
    ) -> Result<EntryMut<'t, 'cx, K, S, F>, Error>
    where
        S: KmType<Set = K::KmTypes>,
    {
        self.entry(slot, address).map(EntryMut::new)
    }

    /// Shows `look` each entry that maps one of these pages, in order; of a large page, it may map others as well. It may clear the bits of the
    /// processor. Linux: `walk_page_range()`.
    ///
    /// # Errors
    /// When the range is none of the space. When an entry that should refer to a table is corrupt: `look` has seen nothing then. Entries of pages
    /// that are corrupt, it sees.
    #[track_caller]
    pub fn visit<S, T>(
        &self,
        slot: Slot<'_, K, S>,
        second_slot: Slot<'_, K, T>,
        pages: Pages,
        look: impl FnMut(&mut Pte<'_, K>),
    ) -> Result<MustFlush<K, F>, Error>
    where
        S: KmType<Set = K::KmTypes>,
        T: KmType<Set = K::KmTypes>,
    {
        let pages = self.pages_of(pages)?;
        let mut flush = MustFlush::nothing();
        let each = Each::new(self, &mut flush, look);
        match each.run(slot, second_slot, pages) {
            Ok(()) => Ok(flush),
            Err(stop) => Err(stop.expect_error()),
        }
    }

    /// The number of the page at an address of the space.
    #[inline]
    pub(super) fn page_of(&self, address: usize) -> Result<usize, Error> {
        let page = self.layout.page(address).ok_or(Error::NotCanonical { address })?;
        if self.span.contains(&page) { Ok(page) } else { Err(Error::OutsideOfSpace { address }) }
    }

    /// The numbers of pages of the space.
    pub(super) fn pages_of(&self, pages: Pages) -> Result<Range<usize>, Error> {
        let numbers = numbers(self.layout, pages)?;
        if !numbers.is_empty() && numbers.start < self.span.start {
            return Err(Error::OutsideOfSpace { address: pages.start });
        }
        if numbers.end > self.span.end && !numbers.is_empty() {
            let first = numbers.start.max(self.span.end);
            return Err(Error::OutsideOfSpace { address: self.layout.address(first) });
        }
        Ok(numbers)
    }

    /// Goes down towards a page, to the table of this level, or the last one that there is.
    #[track_caller]
    pub(super) fn find<'t, 'cx, S>(
        &'t self,
        slot: Slot<'cx, K, S>,
        page: usize,
        to_level: usize,
    ) -> Result<Found<'t, 'cx, K, S>, Error>
    where
        S: KmType<Set = K::KmTypes>,
    {
        self.descend(slot, page, to_level)
    }

    /// As [`find`](Self::find), for one caller that is not to pay for what it does not ask.
    #[inline(always)]
    #[track_caller]
    fn descend<'t, 'cx, S>(
        &'t self,
        mut slot: Slot<'cx, K, S>,
        page: usize,
        to_level: usize,
    ) -> Result<Found<'t, 'cx, K, S>, Error>
    where
        S: KmType<Set = K::KmTypes>,
    {
        let (mut level, mut pfn, mut limits) = (self.layout.levels(), self.root, Flags::WRITABLE | Flags::USER);
        let no_execute = K::no_execute();
        loop {
            let table = Table::map(slot, pfn);
            if level == to_level {
                return Ok(Found { table, place: self.place(level, page), limits, is_end: true });
            }
            let entry = table.load(Layout::<K::Paging>::index(level, page));
            match self.layout.table_of(level, entry, no_execute) {
                Some((child, allowed)) if K::is_memory(child) => {
                    (level, pfn, limits) = (level - 1, child, allowed.limited_by(limits));
                    slot = table.unmap();
                }
                _ => {
                    let place = self.place(level, page);
                    let is_end = place.content::<K>(entry)? != Content::Nothing;
                    return Ok(Found { table, place, limits, is_end });
                }
            }
        }
    }

    /// Where the entry of a table of this level is, which is on the way to a page.
    #[inline]
    pub(super) fn place(&self, level: usize, page: usize) -> Place<'_, K::Paging> {
        let shift = Layout::<K::Paging>::shift(level);
        Place { root: self.root, layout: &self.layout, level, page: page >> shift << shift }
    }
}

/// The end of a way down.
pub(super) struct Found<'t, 'cx, K, S>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    /// The last table.
    pub(super) table: Table<'t, 'cx, K, S>,
    /// Its entry.
    pub(super) place: Place<'t, K::Paging>,
    /// What the entries above it allow at the most.
    pub(super) limits: Flags,
    /// Whether it is of the level that was asked for, or the entry maps a large page.
    pub(super) is_end: bool,
}

impl<K: Kernel, F> fmt::Debug for AddressSpace<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressSpace(root {:?}, {} levels)", self.root, self.layout.levels())
    }
}
