//! One entry of a table in use, for as long as the table is mapped.

use core::fmt;
use core::hint;
use core::marker::PhantomData;
use core::ops::Deref;

use super::flush::{Cpus, MustFlush, Scope};
use super::table::Table;
use super::{Corrupt, Error, Pages, TableFrame};
use crate::kernel::{Kernel, PageTableKernel};
use crate::page::Pfn;
use crate::paging::{Content, Flags, Layout, PAGE_SHIFT, PAGE_SIZE, PageSize, Paging, Tables, Wrong};
use crate::slot::{KmType, Slot};

/// What an entry maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf<M> {
    /// The address of the page.
    pub address: usize,
    /// Its first frame.
    pub pfn: Pfn<M>,
    /// How large it is.
    pub size: PageSize,
    /// What the entry allows. [`AddressSpace::translate`](super::AddressSpace::translate) gives what all levels allow together.
    pub flags: Flags,
}

/// Where an entry is in the tree.
#[derive(Clone, Copy)]
pub(super) struct Place<'t, M> {
    pub(super) root: Pfn<M>,
    pub(super) layout: &'t Layout<M>,
    pub(super) level: usize,
    /// The number of the first page that the entry stands for.
    pub(super) page: usize,
}

impl<M: Paging> Place<'_, M> {
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.layout.address(self.page)
    }

    /// What an entry here says.
    pub(super) fn content<K: PageTableKernel<Paging = M>>(&self, entry: u64) -> Result<Content<M>, Corrupt> {
        let content = self.layout.content(self.level, entry, K::no_execute());
        let content = match content {
            Ok(Content::Table(pfn, _)) if !K::is_memory(pfn) => Err(Wrong::NoTable),
            content => content,
        };
        content.map_err(|wrong| Corrupt { address: self.address(), level: self.level, entry, wrong })
    }

    /// What an entry of a page here says.
    #[inline]
    pub(super) fn leaf<K: PageTableKernel<Paging = M>>(&self, entry: u64) -> Result<Option<Leaf<M>>, Corrupt> {
        let page = self.layout.page_of(self.level, entry, K::no_execute());
        match page {
            Some((pfn, flags)) => {
                Ok(Some(Leaf { address: self.address(), pfn, size: PageSize::of_level(self.level), flags }))
            }
            None => self.content::<K>(entry).map(|_| None),
        }
    }
}

/// An entry of a table in use, borrowed from the mapping of the table.
///
/// The processor sets [`Flags::ACCESSED`] and [`Flags::DIRTY`] at any time, until CPUs were flushed. Each change is one step, in which
/// nothing that it set gets lost.
pub struct Pte<'t, K: Kernel> {
    pub(super) at: *mut u8,
    pub(super) place: Place<'t, K::Paging>,
    pub(super) scope: &'t mut Scope<K::Paging>,
}

impl<K: PageTableKernel> Pte<'_, K> {
    /// The address of the page that it stands for.
    pub fn address(&self) -> usize {
        self.place.address()
    }

    /// How large that page is, if it maps one.
    pub fn size(&self) -> PageSize {
        PageSize::of_level(self.place.level)
    }

    /// What it says now.
    ///
    /// # Errors
    /// When a reserved bit is set.
    pub fn leaf(&self) -> Result<Option<Leaf<K::Paging>>, Corrupt> {
        self.place.leaf::<K>(self.load())
    }

    /// Clears [`Flags::ACCESSED`], and says whether it was set. CPUs that are not flushed may not set it again. Linux:
    /// `ptep_test_and_clear_young()`.
    pub fn test_and_clear_accessed(&mut self) -> bool {
        self.test_and_clear(Flags::ACCESSED)
    }

    /// Clears [`Flags::DIRTY`], and says whether it was set. CPUs that are not flushed may write to the page and not set it again. Linux:
    /// `ptep_test_and_clear_dirty()`.
    pub fn test_and_clear_dirty(&mut self) -> bool {
        self.test_and_clear(Flags::DIRTY)
    }

    fn test_and_clear(&mut self, flag: Flags) -> bool {
        let before = self.update(|leaf| leaf.flags.without(flag));
        before.is_some_and(|leaf| leaf.flags.contains(flag))
    }

    /// Gives a present entry other flags, which `change` makes of what it says; says what it said. An entry that is corrupt faults whenever it
    /// is used: it stays as it is.
    pub(super) fn update(&mut self, mut change: impl FnMut(Leaf<K::Paging>) -> Flags) -> Option<Leaf<K::Paging>> {
        let mut current = self.load();
        loop {
            let leaf = self.place.leaf::<K>(current).ok()??;
            let new = self.place.layout.entry(leaf.size, leaf.pfn, change(leaf), K::no_execute());
            if new == current {
                return Some(leaf);
            }
            match self.exchange(current, new) {
                Ok(()) => {
                    self.note(leaf);
                    return Some(leaf);
                }
                Err(now) => current = now,
            }
            hint::spin_loop();
        }
    }

    /// Empties the entry, and says what it said last: with all that the processor set until then. An entry that is corrupt is emptied, too.
    pub(super) fn take(&mut self) -> Option<Result<Leaf<K::Paging>, Corrupt>> {
        let mut current = self.load();
        loop {
            let leaf = self.place.leaf::<K>(current).transpose()?;
            match self.exchange(current, 0) {
                Ok(()) => {
                    match leaf {
                        Ok(leaf) => self.note(leaf),
                        Err(_) => self.scope.add(Cpus::All, self.pages()),
                    }
                    return Some(leaf);
                }
                Err(now) => current = now,
            }
            hint::spin_loop();
        }
    }

    /// CPUs may remember what the entry said.
    fn note(&mut self, leaf: Leaf<K::Paging>) {
        let is_global = leaf.flags.contains(Flags::GLOBAL);
        let cpus = if is_global { Cpus::All } else { Cpus::OfSpace(self.place.root) };
        self.scope.add(cpus, self.pages());
    }

    fn pages(&self) -> Pages {
        Pages { start: self.address(), count: self.size().pages::<K::Paging>() }
    }

    fn load(&self) -> u64 {
        // SAFETY: I4: `at` is in a mapping that is borrowed for as long as `self`.
        unsafe { K::Paging::load::<K::Machine>(self.at) }
    }

    fn exchange(&mut self, current: u64, new: u64) -> Result<(), u64> {
        // SAFETY: I4, I10: as in `load`; mapped writable, and entries in use are changed in this way alone.
        unsafe { K::Paging::exchange::<K::Machine>(self.at, current, new) }
    }
}

impl<K: PageTableKernel> fmt::Debug for Pte<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pte({:#x} at {:#x})", self.load(), self.address())
    }
}

/// One entry, and the mapping of its table in slot `S`: dropping it unmaps. Linux: what `pte_offset_map()` returns, up to `pte_unmap()`.
///
/// Through a shared borrow of the address space: what it says, and the bits of the processor. [`EntryMut`] can do more.
#[must_use = "the table is unmapped as soon as this is dropped"]
#[clippy::has_significant_drop]
pub struct Entry<'t, 'cx, K, S, F>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    table: Table<'t, 'cx, K, S>,
    index: usize,
    place: Place<'t, K::Paging>,
    frames: PhantomData<F>,
}

impl<'t, 'cx, K, S, F> Entry<'t, 'cx, K, S, F>
where
    K: PageTableKernel,
    S: KmType<Set = K::KmTypes>,
    F: TableFrame<Paging = K::Paging>,
{
    pub(super) fn new(table: Table<'t, 'cx, K, S>, place: Place<'t, K::Paging>) -> Self {
        let index = Layout::<K::Paging>::index(place.level, place.page);
        Self { table, index, place, frames: PhantomData }
    }

    /// What it says now.
    ///
    /// # Errors
    /// When a reserved bit is set.
    pub fn leaf(&self) -> Result<Option<Leaf<K::Paging>>, Corrupt> {
        self.place.leaf::<K>(self.table.load(self.index))
    }

    /// The physical address of the entry itself: for a hypervisor that writes it.
    pub fn physical_address(&self) -> u64 {
        self.table.pfn().address() + (self.index * K::Paging::ENTRY_SIZE) as u64
    }

    /// As [`Pte::test_and_clear_accessed`].
    #[track_caller]
    pub fn test_and_clear_accessed(&self) -> (bool, MustFlush<K, F>) {
        self.change(|mut pte| pte.test_and_clear_accessed())
    }

    /// As [`Pte::test_and_clear_dirty`].
    #[track_caller]
    pub fn test_and_clear_dirty(&self) -> (bool, MustFlush<K, F>) {
        self.change(|mut pte| pte.test_and_clear_dirty())
    }

    #[track_caller]
    fn change<R>(&self, change: impl FnOnce(Pte<'_, K>) -> R) -> (R, MustFlush<K, F>) {
        let mut flush = MustFlush::nothing();
        let result = change(Pte { at: self.table.at(self.index), place: self.place, scope: &mut flush.scope });
        (result, flush)
    }

    /// Unmaps the table, and gives the slot back. Linux: `pte_unmap()`.
    pub fn unmap(self) -> Slot<'cx, K, S> {
        self.table.unmap()
    }
}

impl<K, S, F> fmt::Debug for Entry<'_, '_, K, S, F>
where
    K: PageTableKernel,
    S: KmType<Set = K::KmTypes>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:#x} at {:#x})", self.table.load(self.index), self.place.address())
    }
}

/// One entry that nobody else changes, but for the bits of the processor.
#[must_use = "the table is unmapped as soon as this is dropped"]
#[clippy::has_significant_drop]
pub struct EntryMut<'t, 'cx, K, S, F>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    entry: Entry<'t, 'cx, K, S, F>,
}

impl<'t, 'cx, K, S, F> Deref for EntryMut<'t, 'cx, K, S, F>
where
    K: Kernel,
    S: KmType<Set = K::KmTypes>,
{
    type Target = Entry<'t, 'cx, K, S, F>;

    fn deref(&self) -> &Entry<'t, 'cx, K, S, F> {
        &self.entry
    }
}

impl<'t, 'cx, K, S, F> EntryMut<'t, 'cx, K, S, F>
where
    K: PageTableKernel,
    S: KmType<Set = K::KmTypes>,
    F: TableFrame<Paging = K::Paging>,
{
    pub(super) fn new(entry: Entry<'t, 'cx, K, S, F>) -> Self {
        Self { entry }
    }

    /// Fills the entry, which is empty.
    ///
    /// # Errors
    /// When it maps something, or is corrupt; or when the frame cannot be mapped there. Then it stays as it is.
    ///
    /// # Safety
    /// As [`Editor::map`](super::Editor::map).
    pub unsafe fn set(&mut self, pfn: Pfn<K::Paging>, flags: Flags) -> Result<(), Error> {
        let Place { layout, level, .. } = self.entry.place;
        let size = PageSize::of_level(level);
        super::check_frame(*layout, pfn, size)?;
        let current = self.entry.table.load(self.entry.index);
        if let Some(leaf) = self.entry.place.leaf::<K>(current)? {
            return Err(Error::AlreadyMapped { address: leaf.address, size });
        }
        self.entry.table.replace(self.entry.index, layout.entry(size, pfn, flags, K::no_execute()));
        Ok(())
    }

    /// Takes rights away that `flags` has not, if the entry maps something, and says what it said. Nothing is added. Linux:
    /// `ptep_set_wrprotect()`.
    #[track_caller]
    pub fn restrict(&mut self, flags: Flags) -> (Option<Leaf<K::Paging>>, MustFlush<K, F>) {
        self.entry.change(|mut pte| pte.update(|leaf| leaf.flags.limited_by(flags)))
    }

    /// Gives the entry other flags, if it maps something, and says what it said. The bits of the processor stay as it has set them.
    ///
    /// # Safety
    /// As [`Editor::map`](super::Editor::map), with these flags.
    #[track_caller]
    pub unsafe fn protect(&mut self, flags: Flags) -> (Option<Leaf<K::Paging>>, MustFlush<K, F>) {
        self.entry.change(|mut pte| pte.update(|leaf| flags.as_used(leaf.flags)))
    }

    /// Empties the entry, and says what it said last, with all bits that the processor set until then. Linux: `ptep_get_and_clear()`.
    ///
    /// The table stays, even if it is empty now.
    ///
    /// # Errors
    /// When it was corrupt. It is emptied nevertheless.
    #[track_caller]
    #[allow(clippy::type_complexity, reason = "what was there, and what is to be flushed")]
    pub fn take(&mut self) -> (Result<Option<Leaf<K::Paging>>, Corrupt>, MustFlush<K, F>) {
        self.entry.change(|mut pte| pte.take().transpose())
    }

    /// Unmaps the table, and gives the slot back. Linux: `pte_unmap()`.
    pub fn unmap(self) -> Slot<'cx, K, S> {
        self.entry.unmap()
    }
}

impl<K, S, F> fmt::Debug for EntryMut<'_, '_, K, S, F>
where
    K: PageTableKernel,
    S: KmType<Set = K::KmTypes>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

impl<M: Paging> Leaf<M> {
    /// The physical address of the byte at this address, if it is in the page.
    pub fn physical_address(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.address);
        (offset >> PAGE_SHIFT < self.size.pages::<M>()).then(|| self.pfn.address() + offset as u64)
    }

    /// The frame of the 4 KiB at this address, if it is in the page.
    pub fn frame(&self, address: usize) -> Option<Pfn<M>> {
        Pfn::containing(self.physical_address(address)?).ok()
    }

    /// The pages of 4 KiB that it covers.
    pub fn pages(&self) -> Pages {
        debug_assert!(self.address.is_multiple_of(PAGE_SIZE));
        Pages { start: self.address, count: self.size.pages::<M>() }
    }
}
