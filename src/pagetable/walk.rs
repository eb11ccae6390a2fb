//! A range of an address space, table by table: each is mapped once, and two of them at a time.

use core::ops::Range;

use super::entry::Pte;
use super::flush::{Cpus, MustFlush};
use super::space::AddressSpace;
use super::table::Table;
use super::{Error, TableFrame};
use crate::kernel::{Kernel, PageTableKernel};
use crate::page::Pfn;
use crate::paging::{Content, Layout, Paging};
use crate::slot::{KmType, Slot};

/// So many tables are noted down of a table that is above them, before it is unmapped: only those of the two lowest levels are mapped
/// together.
const BATCH: usize = 8;

/// Why a walk over a range was not begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// What the caller is told.
    Error(Error),
    /// A large page is in the range in part, and is to be split before it is changed.
    Split,
}

impl Stop {
    /// The error of a walk in which nothing is to be split.
    pub(super) fn expect_error(self) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Split => unreachable!("what had to be split is split"),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The parts of a range of pages that entries of this level stand for, each with the index of its entry.
fn parts<M: Paging>(level: usize, pages: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let shift = Layout::<M>::shift(level);
    let mut next = pages.start;
    core::iter::from_fn(move || {
        (next < pages.end).then(|| {
            let part = next..pages.end.min(((next >> shift) + 1) << shift);
            next = part.end;
            (Layout::<M>::index(level, part.start), part)
        })
    })
}

/// A table below one that is not mapped meanwhile: the index of its entry, its frame, and its part of the range.
type Below<M> = (usize, Pfn<M>, Range<usize>);

/// What is done with each entry of a page in a range.
pub(super) struct Each<'a, K: Kernel, F, V> {
    space: &'a AddressSpace<K, F>,
    flush: &'a mut MustFlush<K, F>,
    look: V,
    /// Whether large pages have to be in the range as a whole.
    is_exact: bool,
    /// Whether tables that are empty are taken out.
    frees: bool,
}

impl<'a, K, F, V> Each<'a, K, F, V>
where
    K: PageTableKernel,
    F: TableFrame<Paging = K::Paging>,
    V: FnMut(&mut Pte<'_, K>),
{
    /// To look at entries: large pages may be in the range in part, and no table is taken out.
    pub(super) fn new(space: &'a AddressSpace<K, F>, flush: &'a mut MustFlush<K, F>, look: V) -> Self {
        Self { space, flush, look, is_exact: false, frees: false }
    }

    /// To change entries, and to take tables out that are empty then, if `frees`.
    pub(super) fn changing(self, frees: bool) -> Self {
        Self { is_exact: true, frees, ..self }
    }

    /// Goes over the range. If it stops, nothing was done.
    pub(super) fn run<S, T>(
        mut self,
        mut slot: Slot<'_, K, S>,
        mut second_slot: Slot<'_, K, T>,
        pages: Range<usize>,
    ) -> Result<(), Stop>
    where
        S: KmType<Set = K::KmTypes>,
        T: KmType<Set = K::KmTypes>,
    {
        let (root, levels) = (self.space.root, self.space.layout.levels());
        if pages.is_empty() {
            return Ok(());
        }
        // Within one table of level 2, the way down is the check.
        let directory = Layout::<K::Paging>::shift(3.min(levels + 1));
        if pages.start >> directory != (pages.end - 1) >> directory {
            self.check(slot.reborrow(), root, levels, pages.clone())?;
        }
        self.directory(slot, second_slot.reborrow(), root, levels, pages).map(drop)
    }

    /// Whether all entries of tables above page tables are in order. Each of these tables is mapped once.
    pub(super) fn check<S>(
        &self,
        mut slot: Slot<'_, K, S>,
        pfn: Pfn<K::Paging>,
        level: usize,
        pages: Range<usize>,
    ) -> Result<(), Stop>
    where
        S: KmType<Set = K::KmTypes>,
    {
        let mut parts = parts::<K::Paging>(level, pages).peekable();
        while parts.peek().is_some() {
            let mut batch = [const { None }; BATCH];
            let table = Table::map(slot.reborrow(), pfn);
            let mut room = batch.iter_mut();
            while room.len() > 0
                && let Some((index, part)) = parts.next()
            {
                if let Content::Table(child, _) = self.content(&table, level, index, &part)?
                    && level > 2
                    && let Some(place) = room.next()
                {
                    *place = Some((child, part));
                }
            }
            drop(table);
            for (child, part) in batch.into_iter().flatten() {
                self.check(slot.reborrow(), child, level - 1, part)?;
            }
        }
        Ok(())
    }

    /// What the entry for a part of the range says.
    fn content<S>(
        &self,
        table: &Table<'_, '_, K, S>,
        level: usize,
        index: usize,
        part: &Range<usize>,
    ) -> Result<Content<K::Paging>, Stop>
    where
        S: KmType<Set = K::KmTypes>,
    {
        let content = self.space.place(level, part.start).content::<K>(table.load(index)).map_err(Error::from)?;
        let is_whole = part.end - part.start == 1 << Layout::<K::Paging>::shift(level);
        match content {
            Content::Maps(..) if self.is_exact && !is_whole => Err(Stop::Split),
            content => Ok(content),
        }
    }

    /// A table above page tables. Says whether it is empty now, and was taken over by the obligation.
    fn directory<S, T>(
        &mut self,
        mut slot: Slot<'_, K, S>,
        mut second_slot: Slot<'_, K, T>,
        pfn: Pfn<K::Paging>,
        level: usize,
        pages: Range<usize>,
    ) -> Result<bool, Stop>
    where
        S: KmType<Set = K::KmTypes>,
        T: KmType<Set = K::KmTypes>,
    {
        if level == 2 {
            return self.lowest_directory(slot, second_slot, pfn, pages);
        }
        let mut parts = parts::<K::Paging>(level, pages);
        let mut batch: [Option<Below<K::Paging>>; BATCH] = [const { None }; BATCH];
        let mut is_empty = [false; BATCH];
        loop {
            let table = Table::map(slot.reborrow(), pfn);
            for (place, is_empty) in batch.iter_mut().zip(is_empty) {
                if let Some((index, _, part)) = place.take()
                    && is_empty
                {
                    self.unlink(&table, level, index, part.start);
                }
            }
            let (mut has_more, mut has_pages) = (false, false);
            let mut room = batch.iter_mut();
            while room.len() > 0
                && let Some((index, part)) = parts.next()
            {
                match self.content(&table, level, index, &part)? {
                    Content::Nothing => {}
                    Content::Maps(..) => {
                        self.page(&table, level, index, part.start);
                        has_pages = true;
                    }
                    Content::Table(child, _) => {
                        has_more = true;
                        room.next().into_iter().for_each(|place| *place = Some((index, child, part.clone())));
                    }
                }
            }
            if !has_more {
                return Ok(self.take_if_empty(&table, level));
            }
            drop(table);
            for (place, is_empty) in batch.iter().zip(&mut is_empty) {
                let Some((_, child, part)) = place else { continue };
                *is_empty = self.directory(slot.reborrow(), second_slot.reborrow(), *child, level - 1, part.clone())?;
            }
            let is_done = batch[BATCH - 1].is_none();
            if is_done && !(has_pages && self.frees) && !is_empty.contains(&true) {
                return Ok(false);
            }
        }
    }

    /// A table of level 2, which stays mapped while the page tables below it are mapped one after the other.
    fn lowest_directory<S, T>(
        &mut self,
        slot: Slot<'_, K, S>,
        mut second_slot: Slot<'_, K, T>,
        pfn: Pfn<K::Paging>,
        pages: Range<usize>,
    ) -> Result<bool, Stop>
    where
        S: KmType<Set = K::KmTypes>,
        T: KmType<Set = K::KmTypes>,
    {
        let level = 2;
        let table = Table::map(slot, pfn);
        for (index, part) in parts::<K::Paging>(level, pages.clone()) {
            self.content(&table, level, index, &part)?;
        }
        for (index, part) in parts::<K::Paging>(level, pages) {
            match self.content(&table, level, index, &part)? {
                Content::Nothing => {}
                Content::Maps(..) => self.page(&table, level, index, part.start),
                Content::Table(child, _) => {
                    if self.page_table(second_slot.reborrow(), child, part.clone()) {
                        self.unlink(&table, level, index, part.start);
                    }
                }
            }
        }
        Ok(self.take_if_empty(&table, level))
    }

    /// A page table. Says whether it is empty now, and was taken over by the obligation.
    fn page_table<S>(&mut self, slot: Slot<'_, K, S>, pfn: Pfn<K::Paging>, pages: Range<usize>) -> bool
    where
        S: KmType<Set = K::KmTypes>,
    {
        let table = Table::map(slot, pfn);
        for (index, part) in parts::<K::Paging>(1, pages) {
            if table.load(index) & 1 != 0 {
                self.page(&table, 1, index, part.start);
            }
        }
        self.take_if_empty(&table, 1)
    }

    /// An entry of a page.
    fn page<S>(&mut self, table: &Table<'_, '_, K, S>, level: usize, index: usize, page: usize)
    where
        S: KmType<Set = K::KmTypes>,
    {
        let place = self.space.place(level, page);
        (self.look)(&mut Pte { at: table.at(index), place, scope: &mut self.flush.scope });
    }

    fn take_if_empty<S>(&mut self, table: &Table<'_, '_, K, S>, level: usize) -> bool
    where
        S: KmType<Set = K::KmTypes>,
    {
        let takes = self.frees && level < self.space.layout.levels() && table.is_empty();
        if takes {
            self.flush.push(table);
        }
        takes
    }

    /// Takes a table that is empty out of the tree. Page walkers of CPUs may be in it until they are flushed.
    fn unlink<S>(&mut self, table: &Table<'_, '_, K, S>, level: usize, index: usize, page: usize)
    where
        S: KmType<Set = K::KmTypes>,
    {
        table.replace(index, 0);
        let cpus = Cpus::OfSpace(self.space.root);
        self.flush.scope.add_table(cpus, self.space.layout.address(page));
        if self.space.layout.is_loaded_with_cr3(level) {
            self.flush.scope.add_all(cpus);
        }
    }
}
