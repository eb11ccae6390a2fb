//! What CPUs have to forget after tables were changed: the obligation, and how far it goes.

use core::cmp;
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::panic::Location;

use super::table::Table;
use super::{Pages, TableFrame, TableSource};
use crate::debug::{self, Report};
use crate::kernel::{Kernel, PageTableKernel};
use crate::machine::Machine;
use crate::page::Pfn;
use crate::paging::{PAGE_SIZE, Paging};
use crate::slot::{Group, KmType, Slot};

/// How many ranges of pages a scope tells apart.
const RANGES: usize = 8;

/// Which CPUs may remember what was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cpus<M> {
    /// Those that use, or have used and not forgotten, the address space with this top-level table. Linux: `mm_cpumask()`.
    OfSpace(Pfn<M>),
    /// All: several address spaces are concerned, or translations that belong to all.
    All,
}

/// What CPUs have to forget: which pages, and which CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope<M> {
    cpus: Option<Cpus<M>>,
    ranges: [Pages; RANGES],
    len: usize,
    is_whole: bool,
    frees_tables: bool,
}

impl<M: Paging> Scope<M> {
    /// Nothing.
    pub(super) const fn nothing() -> Self {
        Self { cpus: None, ranges: [Pages::NONE; RANGES], len: 0, is_whole: false, frees_tables: false }
    }

    /// Whether there is nothing to forget.
    pub const fn is_nothing(&self) -> bool {
        self.cpus.is_none()
    }

    /// Which CPUs have to.
    pub fn cpus(&self) -> Cpus<M> {
        self.cpus.unwrap_or(Cpus::All)
    }

    /// Whether everything is to be forgotten, and CR3 to be loaded anew: with PAE, a CPU keeps the entries of the top-level table until then
    /// (SDM vol. 3, 5.4.1).
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether tables are to be freed: what CPUs remember of the levels above pages is to be forgotten, too. `invlpg` does that for the space
    /// in use (SDM vol. 3, 5.10.4.1).
    pub const fn frees_tables(&self) -> bool {
        self.frees_tables
    }

    /// The pages, unless everything is to be forgotten. Pages between two that are, may be among them.
    pub fn ranges(&self) -> impl Iterator<Item = Pages> {
        let len = if self.is_whole { 0 } else { self.len };
        self.ranges.into_iter().take(len)
    }

    /// How many pages that is; `None` if everything.
    pub fn pages(&self) -> Option<usize> {
        (!self.is_whole).then(|| self.ranges().fold(0_usize, |sum, range| sum.saturating_add(range.count)))
    }

    /// Has this CPU forget: page by page, or everything, if that is what is left or if there are more than [`FLUSH_CEILING`](crate::Kernel::FLUSH_CEILING).
    ///
    /// # Safety
    /// Runs at privilege level 0, and stays on this CPU.
    pub unsafe fn flush_here<K: PageTableKernel<Paging = M>>(&self) {
        match self.pages() {
            Some(0) => {}
            // SAFETY: the caller's promise. No other space of this CPU has translations of these pages without PCIDs.
            Some(pages) if pages <= K::FLUSH_CEILING && !K::PCIDS => unsafe {
                for range in self.ranges() {
                    (0..range.count).for_each(|page| K::Machine::invlpg(range.start.wrapping_add(page * PAGE_SIZE)));
                }
            },
            // SAFETY: the caller's promise. With PAE, it loads the top-level entries anew, whichever way it does it (SDM vol. 3, 5.4.1).
            _ => unsafe { K::Machine::flush_all() },
        }
    }

    fn concern(&mut self, cpus: Cpus<M>) {
        self.cpus = Some(match self.cpus {
            Some(already) if already != cpus => Cpus::All,
            _ => cpus,
        });
    }

    /// So many pages from an address on are to be forgotten.
    pub(super) fn add(&mut self, cpus: Cpus<M>, pages: Pages) {
        self.concern(cpus);
        let used = &mut self.ranges[..self.len];
        if let Some(range) = used.iter_mut().find(|range| range.touches(pages)) {
            *range = range.hull(pages);
        } else if self.len < RANGES {
            self.ranges[self.len] = pages;
            self.len += 1;
        } else {
            // The nearest of them grows.
            let nearest = used.iter_mut().min_by_key(|range| range.hull(pages).count);
            nearest.into_iter().for_each(|range| *range = range.hull(pages));
        }
    }

    /// Everything is to be forgotten.
    pub(super) fn add_all(&mut self, cpus: Cpus<M>) {
        self.concern(cpus);
        self.is_whole = true;
    }

    /// The table above these pages is freed.
    pub(super) fn add_table(&mut self, cpus: Cpus<M>, start: usize) {
        self.add(cpus, Pages { start, count: 1 });
        self.frees_tables = true;
    }

    fn merge(&mut self, other: &Self) {
        if let Some(cpus) = other.cpus {
            self.concern(cpus);
            other.ranges[..other.len].iter().for_each(|&range| self.add(cpus, range));
            self.is_whole |= other.is_whole;
            self.frees_tables |= other.frees_tables;
        }
    }
}

impl Pages {
    const NONE: Self = Self { start: 0, count: 0 };

    /// The address behind the last byte, or 0 at the end of the address space.
    fn end(self) -> usize {
        self.start.wrapping_add(self.count * PAGE_SIZE)
    }

    /// Whether there is no page between these and the others.
    fn touches(self, other: Self) -> bool {
        let is_from = |a: Self, b: Self| b.start.checked_sub(a.start).is_some_and(|bytes| bytes / PAGE_SIZE <= a.count);
        is_from(self, other) || is_from(other, self)
    }

    /// All from the first to the last of both.
    fn hull(self, other: Self) -> Self {
        let start = cmp::min(self.start, other.start);
        let last = cmp::max(self.end().wrapping_sub(1), other.end().wrapping_sub(1));
        Self { start, count: (last - start) / PAGE_SIZE + 1 }
    }
}

/// Tables that were unlinked, one after the other: each has the number of the next where its first entry was.
struct Chain<M> {
    ends: Option<(Pfn<M>, Pfn<M>)>,
    len: usize,
}

/// Entries of tables in use were changed or removed: CPUs may go on using what they said, until they are [flushed](Self::flush).
///
/// It has the tables that are free then, and gives them back to where they came from behind the flush, and not before. Dropping it loses
/// them: nobody ever uses them again. With the feature `debug`, that is [reported](crate::debug::Report::NotFlushed).
#[must_use = "CPUs still use what was changed: `flush` it, or `merge` it into what is flushed later; tables that it frees are lost without"]
pub struct MustFlush<K: Kernel, F> {
    pub(super) scope: Scope<K::Paging>,
    tables: Chain<K::Paging>,
    changed_by: &'static Location<'static>,
    frames: PhantomData<F>,
}

impl<K: Kernel, F> MustFlush<K, F> {
    #[track_caller]
    pub(super) fn nothing() -> Self {
        let (scope, tables) = (Scope::nothing(), Chain { ends: None, len: 0 });
        Self { scope, tables, changed_by: Location::caller(), frames: PhantomData }
    }

    /// What is to be forgotten, and by whom.
    pub fn scope(&self) -> &Scope<K::Paging> {
        &self.scope
    }

    /// How many tables are freed behind the flush.
    pub fn tables(&self) -> usize {
        self.tables.len
    }
}

impl<K: PageTableKernel, F: TableFrame<Paging = K::Paging>> MustFlush<K, F> {
    /// Has CPUs forget, and then gives free tables back. Each of them is mapped once in `slot`, to find the next.
    ///
    /// Does not compile with the slot of an interrupt handler or a softirq: it waits for other CPUs. So, interrupts are on.
    #[track_caller]
    pub fn flush<S>(self, slot: Slot<'_, K, S>, source: &mut impl TableSource<Frame = F>)
    where
        S: KmType<Set = K::KmTypes>,
    {
        const { check_is_of_a_task::<S>() };
        if !self.scope.is_nothing() {
            debug::check_interrupts_on::<K>();
            // What was stored to the tables comes before what the other CPUs are asked.
            K::Machine::barrier();
            K::flush(&self.scope);
        }
        self.give_back(slot, source);
    }

    /// Gives free tables back, and has no CPU forget anything.
    ///
    /// # Safety
    /// No CPU has used the address space since before these entries became present, or all of them have forgotten them by other means.
    pub unsafe fn ignore<S>(self, slot: Slot<'_, K, S>, source: &mut impl TableSource<Frame = F>)
    where
        S: KmType<Set = K::KmTypes>,
    {
        self.give_back(slot, source);
    }

    fn give_back<S>(self, mut slot: Slot<'_, K, S>, source: &mut impl TableSource<Frame = F>)
    where
        S: KmType<Set = K::KmTypes>,
    {
        let mut next = self.tables.ends.map(|(first, _)| first);
        for left in (0..self.tables.len).rev() {
            let Some(pfn) = next else { break };
            next = if left > 0 { Table::<K, S>::map(slot.reborrow(), pfn).next_of_chain() } else { None };
            // SAFETY: I5: `push` took it out of the tree, and the CPUs have forgotten it.
            source.give_back(unsafe { F::from_pfn(pfn) });
        }
        mem::forget(self);
    }

    /// One obligation of two. If both free tables, one is mapped once in `slot`.
    #[track_caller]
    pub fn merge<S>(mut self, slot: Slot<'_, K, S>, other: Self) -> Self
    where
        S: KmType<Set = K::KmTypes>,
    {
        self.scope.merge(&other.scope);
        self.tables.ends = match (self.tables.ends, other.tables.ends) {
            (Some((first, last)), Some((next, end))) => {
                Table::<K, S>::map(slot, last).set_next_of_chain(Some(next));
                Some((first, end))
            }
            (one, another) => one.or(another),
        };
        self.tables.len += other.tables.len;
        mem::forget(other);
        self
    }

    /// Takes over a table that is empty, and that nothing in the tree refers to, or will when this is done.
    pub(super) fn push<S>(&mut self, table: &Table<'_, '_, K, S>)
    where
        S: KmType<Set = K::KmTypes>,
    {
        let pfn = table.pfn();
        table.set_next_of_chain(self.tables.ends.map(|(first, _)| first));
        self.tables.ends = Some((pfn, self.tables.ends.map_or(pfn, |(_, last)| last)));
        self.tables.len += 1;
    }
}

impl<K: Kernel, F> Drop for MustFlush<K, F> {
    fn drop(&mut self) {
        if debug::ON && !(self.scope.is_nothing() && self.tables.len == 0) {
            K::report(&Report::NotFlushed { tables: self.tables.len, changed_by: self.changed_by });
        }
    }
}

impl<K: Kernel, F> fmt::Debug for MustFlush<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MustFlush")
            .field("scope", &self.scope)
            .field("tables", &self.tables.len)
            .finish_non_exhaustive()
    }
}

#[track_caller]
const fn check_is_of_a_task<S: KmType>() {
    assert!(
        matches!(S::GROUP, Group::PreemptionOff),
        "a flush waits for other CPUs, with interrupts on: use a slot of a task, such as `pte0`"
    );
}
