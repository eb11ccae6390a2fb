//! The pool itself: a page table, and the accounts of its entries.

use core::mem;
use core::sync::atomic::Ordering::AcqRel;

use super::entries::Entry;
use super::index::Index;
use super::queue::{Front, Queue};
use super::span::Span;
use super::stats::Counts;
use super::work::Work;
use crate::fixmap::PageTable;
use crate::kernel::PoolKernel;
use crate::sync::{AtomicU32, Mutex};

/// A kernel's pool: a page table of `N` entries, and the accounts of it. A `static` of the kernel.
///
/// `N` is the number of entries that a page table has in the kernel's paging mode: 512 with PAE and in 64-bit mode, 1024 without PAE.
/// [`PoolKernel::PoolEntries`] may be fewer.
#[repr(C)]
pub struct Pool<const N: usize> {
    pub(super) table: PageTable,
    pub(super) entries: [Entry; N],
    pub(super) index: Index<N>,
    pub(super) front: Front,
    /// How many entries can be had: the length of both lists. Only while somebody waits.
    pub(super) available: AtomicU32,
    /// Not 0 when the kernel has linked the table; until then no entry is free.
    pub(super) started: AtomicU32,
    /// Not 0 while somebody takes back idle entries and has all CPUs flush.
    pub(super) flushing: AtomicU32,
    pub(super) lists: Mutex<Lists<N>>,
}

/// What is under the lock.
pub(super) struct Lists<const N: usize> {
    /// Entries that no CPU remembers anything of.
    pub(super) free: List<N>,
    /// Entries that were taken while they were idle, and that some CPU may remember.
    pub(super) stale: List<N>,
    pub(super) queue: Queue,
    pub(super) counts: Counts,
}

impl<const N: usize> Pool<N> {
    /// The pool of kernel `K`, empty.
    ///
    /// As the value of a `static`, it does not compile if the kernel's numbers do not fit. Elsewhere it panics, and [`kmap`](super::kmap()) for such a
    /// kernel does not compile.
    #[track_caller]
    pub const fn new<K: PoolKernel<Pool = Self>>() -> Self {
        Span::<K>::check();
        Self {
            table: PageTable::empty(),
            entries: [const { Entry::free() }; N],
            index: Index::empty(),
            front: Front::empty(),
            available: AtomicU32::new(0),
            started: AtomicU32::new(0),
            flushing: AtomicU32::new(0),
            lists: Mutex::new(Lists {
                free: List::EMPTY,
                stale: List::EMPTY,
                queue: Queue::EMPTY,
                counts: Counts::ZERO,
            }),
        }
    }

    /// The page table, for the kernel's page directory.
    pub const fn table(&self) -> &PageTable {
        &self.table
    }

    /// Lets pages be mapped.
    ///
    /// # Safety
    /// The physical address of [`table`](Self::table) stands, writable, in the page directory entry for [`PoolKernel::PKMAP_BASE`], in every
    /// address space of every CPU, for good.
    pub unsafe fn start<K: PoolKernel<Pool = Self>>(&self) {
        if self.started.swap(1, AcqRel) == 0 {
            self.locked::<K, _>(|lists| lists.free.push_all(Span::<K>::COUNT));
        }
    }
}

/// Numbers of entries.
pub(super) struct List<const N: usize> {
    entries: [u16; N],
    pub(super) length: usize,
    /// The lowest and the highest number that were put in since the last [`take_span`](Self::take_span): kept up by [`widen_from`](Self::widen_from) alone.
    span: (usize, usize),
}

impl<const N: usize> List<N> {
    pub(super) const EMPTY: Self = Self { entries: [0; N], length: 0, span: (N, 0) };

    /// Puts in the first `count` entries, lowest last.
    pub(super) fn push_all(&mut self, count: usize) {
        (0..count).rev().for_each(|entry| self.push(entry));
    }

    /// Each entry is in one list at the most, so there is room.
    pub(super) fn push(&mut self, entry: usize) {
        if let Some(place) = self.entries.get_mut(self.length) {
            *place = entry as u16;
            self.length += 1;
        }
    }

    /// Widens the span by what is behind the first `before` entries, which is in ascending order.
    pub(super) fn widen_from(&mut self, before: usize) {
        if let Some((&first, &last)) = self.entries.get(before..self.length).and_then(|new| new.first().zip(new.last()))
        {
            self.span = (self.span.0.min(first.into()), self.span.1.max(last.into()));
        }
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let entry = *self.entries.get(self.length.checked_sub(1)?)?;
        self.length -= 1;
        Some(usize::from(entry))
    }

    /// The span, which begins anew.
    pub(super) fn take_span(&mut self) -> (usize, usize) {
        mem::replace(&mut self.span, (N, 0))
    }

    /// Moves the first `count` entries to another list.
    pub(super) fn move_first(&mut self, count: usize, to: &mut Self) {
        to.entries[to.length..][..count].copy_from_slice(&self.entries[..count]);
        to.length += count;
        self.entries.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

/// A [`Pool`]. Sealed.
pub trait PoolTable: Work {
    /// How many entries it has room for.
    const ENTRIES: usize;
}

impl<const N: usize> PoolTable for Pool<N> {
    const ENTRIES: usize = N;
}
