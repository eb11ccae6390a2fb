//! `kmap_batch`: many pages mapped at consecutive addresses, for as long as a guard lives.
//!
//! In C, code that has a list of pages and wants one range of bytes maps them by `vmap`, which allocates, may sleep, and flushes all CPUs;
//! or one by one, with an `invlpg` for each, and with a loop for what goes over the end of a page. Those loops are where it goes wrong: a
//! mapping too few is ended, or one too many; and when one fails in the middle, those before it stay.
//!
//! The rule (I3): the entries in use are the first ones, as many as there are pages. They are all emptied, then all translations are
//! forgotten, and only then is the batch free again; also if not all pages came.
//!
//! The types say it: a batch ([`BatchType`]) is a slot type with several entries, and its token, [`BatchSlot`], is the right to all of
//! them. [`kmap_batch`] takes it and pages, and gives one guard of all their bytes, [`KmapBatch`].
//!
//! ```
//! use highmem::batch::BatchError;
//! use highmem::{Frame, Kernel, Task, kmap_batch};
//!
//! highmem::km_types! {
//!     /// What my kernel maps.
//!     pub mod km {
//!         atomic {
//!             source: Source,
//!             /// A request to the disk: up to 64 pages.
//!             request: Request[64],
//!         }
//!     }
//! }
//!
//! fn checksum<K: Kernel<KmTypes = km::Set>>(task: &mut Task<'_, K>, pages: &[Frame<K::Paging>]) -> Result<u32, BatchError> {
//!     let mut atomic = task.atomic();
//!     let bytes = kmap_batch(atomic.slots().request, pages)?;
//!     Ok(bytes.iter().fold(0, |sum, &byte| sum.rotate_left(1) ^ u32::from(byte))) // one slice, whatever the frames' numbers
//! }
//! ```
//!
//! # Which pages
//!
//! Whatever gives borrowed pages one after the other: `&pages`, `&mut pages`, `[&mut one, &mut other]`, or an iterator over the segments
//! of a request. The guard has the borrow of each (I5), and there is nowhere to keep the pages themselves. All have one type, and so
//! one [`Access`] and one memory type: a list of `&frame` is read only, all of it. The same page may be there twice if it is only read, or
//! if it is one that others write as well.
//!
//! A page of the direct map is mapped, too: its address there is not behind that of the page before.
//!
//! How many there are is only known when they have come; if it is more than the batch has room for, it is an error, and none is mapped.
//!
//! # What it costs
//!
//! Pages are mapped in one pass, as they come: the stores of the entry, and no flush. The end is one pass that empties the entries, and
//! one `invlpg` for each; or, for more than [`Kernel::FLUSH_CEILING`] pages, one flush of everything, after which the rest of the kernel
//! finds its own translations gone. A batch is not [lazy](crate::lazy).

use core::fmt;
use core::marker::PhantomData;

use crate::cache;
use crate::debug;
use crate::fixmap::Window;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{Access, Page};
use crate::paging::{PAGE_SIZE, Paging, Protection};
use crate::slot::{BatchEntries, Invariant, KmTypes, StaysHere};
use crate::tlb;
use crate::trace;

/// A batch: a slot type with several consecutive entries.
///
/// # Safety
/// Implemented by [`km_types!`](crate::km_types) only: within a set, no two have the same index, and that is the place in
/// [`KmTypes::BATCHES`] where the same [`ENTRIES`](Self::ENTRIES) are; each belongs to one context.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch",
    note = "a batch is declared by `km_types!`, with its number of pages: `request: Request[64]`"
)]
pub unsafe trait BatchType: 'static {
    /// The set it belongs to.
    type Set: KmTypes;

    /// Its place among the batches of a CPU.
    const INDEX: usize;

    /// Its name, what makes it exclusive, and how many pages it has room for.
    const ENTRIES: BatchEntries;
}

/// The token of batch `S` on this CPU: whoever has it may map as many pages there as it has entries.
///
/// As a [`Slot`](crate::Slot), it takes no memory, and cannot be made, copied or sent to another CPU.
pub struct BatchSlot<'cx, K, S> {
    _cpu: StaysHere,
    /// As long as the borrow of the context.
    context: PhantomData<&'cx mut ()>,
    types: Invariant<(K, S)>,
}

impl<K, S> BatchSlot<'_, K, S> {
    /// # Safety
    /// No other token for `S` is live on this CPU in `'cx` (I1), and the value does not leave the CPU (I2).
    #[doc(hidden)]
    #[inline]
    pub const unsafe fn new() -> Self {
        BatchSlot { _cpu: StaysHere::NEW, context: PhantomData, types: PhantomData }
    }

    /// Lends the batch: a guard made of the lent token gives it back when it is dropped.
    #[inline]
    pub const fn reborrow(&mut self) -> BatchSlot<'_, K, S> {
        // SAFETY: `self` is borrowed, and so of no use, for as long as the new token lives (I1).
        unsafe { BatchSlot::new() }
    }
}

impl<K, S: BatchType> fmt::Debug for BatchSlot<'_, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchSlot({}, {} pages)", S::ENTRIES.name, S::ENTRIES.pages)
    }
}

/// A page that somebody else has, and lends: what a batch can be made of. Sealed: `&page` and `&mut page`.
///
/// For as long as its lifetime, the page is what [`Page`] says, whether the value itself is kept or not (I5).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a borrowed page",
    label = "expected pages that are borrowed: `&mut frames`, `&frames`, `[&mut one, &mut other]`",
    note = "a batch has no room for the pages themselves: borrow them for as long as they are mapped"
)]
pub trait BorrowedPage: Page + sealed::BorrowedPage {}

impl<P: Page + ?Sized> sealed::BorrowedPage for &P {}
impl<P: Page + ?Sized> BorrowedPage for &P {}
impl<P: Page + ?Sized> sealed::BorrowedPage for &mut P {}
impl<P: Page + ?Sized> BorrowedPage for &mut P {}

/// More pages than a batch has entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BatchError {
    /// How many there are, at least: the last of them are not counted.
    pub pages: usize,
    /// How many the batch has room for.
    pub room: usize,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages, room } = self;
        write!(f, "{pages} or more pages are to be mapped in a batch that has room for {room}")
    }
}

impl core::error::Error for BatchError {}

/// Maps `pages` in `slot` on this CPU, one behind the other.
///
/// ```
/// use highmem::batch::{BatchError, BatchSlot, BatchType};
/// use highmem::{Kernel, SharedFrame, kmap_batch, kunmap_batch};
///
/// /// Copies a message into a ring whose pages lie anywhere, across their ends.
/// fn put<K: Kernel, S: BatchType<Set = K::KmTypes>>(
///     slot: BatchSlot<'_, K, S>,
///     ring: &mut [SharedFrame<K::Paging>],
///     at: usize,
///     message: &[u8],
/// ) -> Result<(), BatchError> {
///     let mut bytes = kmap_batch(slot, ring)?;
///     bytes.write_at(at, message).expect("the caller asked for the size");
///     kunmap_batch(bytes);
///     Ok(())
/// }
/// ```
///
/// # Errors
/// When there are more pages than the batch has entries; then none stays mapped.
#[inline]
#[track_caller]
pub fn kmap_batch<'cx, K, S, P>(
    slot: BatchSlot<'cx, K, S>,
    pages: impl IntoIterator<Item = P>,
) -> Result<KmapBatch<'cx, K, S, P>, BatchError>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    let pages = pages.into_iter();
    let (room, announced) = (S::ENTRIES.pages, pages.size_hint().0);
    if announced > room {
        return Err(BatchError { pages: announced, room });
    }
    let mut mapping = Mapping::begin();
    for page in pages {
        if mapping.pages == room {
            return Err(BatchError { pages: room.saturating_add(1), room });
        }
        mapping.add(page);
    }
    // I10: no access to the pages moves up across the stores that make them accessible.
    K::Machine::barrier();
    Ok(KmapBatch { mapping, slot })
}

/// Unmaps, and gives back the slot. The borrows of the pages end.
#[inline]
pub fn kunmap_batch<'cx, K, S, P>(guard: KmapBatch<'cx, K, S, P>) -> BatchSlot<'cx, K, S>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    let KmapBatch { mapping, slot } = guard;
    drop(mapping);
    slot
}

/// Pages mapped one behind the other in batch `S`; dropping it unmaps.
///
/// Its bytes are one `[u8]`, where the pages' [`Access`] allows that, and are copied in and out where it does not. As
/// [`KmapAtomic`](crate::KmapAtomic), it belongs to the CPU and the context that made it.
#[must_use = "the pages are unmapped as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct KmapBatch<'cx, K, S, P>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    mapping: Mapping<'cx, K, S, P>,
    slot: BatchSlot<'cx, K, S>,
}

/// The first so many pages of a batch, and the duty to end their mappings.
///
/// As in a single slot, that its `Drop` could use slot and pages is what keeps context and pages borrowed until then (I1, I5).
struct Mapping<'cx, K, S, P>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    /// That of the first page.
    address: usize,
    pages: usize,
    until_unmapped: PhantomData<(BatchSlot<'cx, K, S>, P)>,
}

impl<K, S, P> Mapping<'_, K, S, P>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    /// Of no page yet. The entries are empty: those that a guard has left, which was forgotten, are emptied here (I3).
    ///
    /// The caller has the token.
    #[inline]
    #[track_caller]
    fn begin() -> Self {
        let (address, pte) = Window::<K>::batch::<S>();
        if debug::ON {
            debug::check_context::<K>(S::ENTRIES.name, S::ENTRIES.group);
        }
        // SAFETY: I1: the caller had the token. I9: each batch has an entry, and the first is in use if any is.
        if unsafe { !K::Paging::is_empty::<K::Machine>(pte) } {
            if debug::ON {
                debug::report_forgotten_batch::<K>(S::INDEX);
            }
            // SAFETY: I1: as above. I4: the bytes were borrowed from the guard.
            unsafe { unmap_forgotten::<K>(&S::ENTRIES, address) };
        }
        if debug::ON {
            debug::remember_origin::<K>(pte);
        }
        Self { address, pages: 0, until_unmapped: PhantomData }
    }

    /// Maps one more page behind those before. There is room for it.
    #[inline]
    #[track_caller]
    fn add(&mut self, page: P) {
        let (writable, cache) = (<P::Access as Access>::WRITABLE, const { K::PAT.index_of(P::MEMORY_TYPE) });
        let global = K::TRANSLATIONS.are_global();
        let protection = Protection::new(writable).cache(cache).global(global).no_execute(K::no_execute());
        let pfn = page.pfn();
        let address = self.address + self.pages * PAGE_SIZE;
        // SAFETY: I1: the caller had the token, so nobody else writes these entries. I9: it has room. I3: it is empty, as `begin` says.
        unsafe {
            K::Paging::set::<K::Machine>(Window::<K>::entry_of(address), K::Paging::entry(pfn.number(), protection))
        };
        // From here on, the end is the duty of `drop`: also if what follows panics, or the next page does not come.
        self.pages += 1;
        trace::mapped_in_batch::<K, P>(&S::ENTRIES, pfn, address);
        if const { K::CACHES_ALIAS && P::Access::RAM } {
            // I10: what the kernel does there does not move up across the store.
            K::Machine::barrier();
            K::before_access(pfn, address, writable);
        }
    }
}

impl<K, S, P> Drop for Mapping<'_, K, S, P>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    #[inline]
    fn drop(&mut self) {
        let (address, pages) = (self.address, self.pages);
        // I12.
        if const { K::CACHES_ALIAS && P::Access::RAM && P::Access::WRITABLE } {
            K::Machine::barrier();
            (0..pages).for_each(|page| K::after_writes(address + page * PAGE_SIZE));
        }
        if debug::ON && pages > 0 {
            debug::check_same_cpu::<K>(S::ENTRIES.name, address, |cpu| Window::<K>::batch_place(cpu, S::INDEX).0);
        }
        trace::unmapped_batch::<K>(&S::ENTRIES, address, pages);
        // SAFETY: I1: the token is the guard's. I4: no address of the mapping is left in use.
        unsafe { unmap::<K>(address, pages) };
    }
}

/// Empties the first entries of a batch, all of them, and forgets their translations, in this order (I3). They are emptied from the last
/// one on: at each moment, those that are in use are the first ones.
///
/// # Safety
/// The caller has the token of the batch at `address`, which has so many entries, and nobody uses what they map (I1, I4).
#[inline]
pub(crate) unsafe fn unmap<K: Kernel>(address: usize, pages: usize) {
    let first = Window::<K>::entry_of(address);
    // I10: no access to the pages moves down across the stores that make them inaccessible.
    K::Machine::barrier();
    // SAFETY: the caller's promise.
    unsafe {
        (0..pages).rev().for_each(|page| K::Paging::clear::<K::Machine>(first.wrapping_add(page)));
        tlb::forget_pages::<K>(address, pages);
    }
}

/// The batch's last guard was forgotten (`mem::forget`), so its mappings are still there.
///
/// # Safety
/// As [`unmap`], where the batch has these entries.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unmap_forgotten<K: Kernel>(entries: &BatchEntries, address: usize) {
    let first = Window::<K>::entry_of(address);
    // SAFETY: the caller's promise.
    unsafe {
        let in_use = |&page: &usize| !K::Paging::is_empty::<K::Machine>(first.wrapping_add(page));
        let pages = (0..entries.pages).take_while(in_use).count();
        trace::unmapped_batch::<K>(entries, address, pages);
        (0..pages).for_each(|page| cache::end_of_entry::<K>(address + page * PAGE_SIZE, first.wrapping_add(page)));
        unmap::<K>(address, pages);
    }
}

impl<K, S, P> KmapBatch<'_, K, S, P>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    /// How many pages are mapped.
    #[inline]
    pub fn pages(&self) -> usize {
        self.mapping.pages
    }

    /// How many bytes that is.
    #[inline]
    pub fn size(&self) -> usize {
        self.mapping.pages * PAGE_SIZE
    }

    /// The address at which the first page is mapped, for reports and tests. Nothing in this crate takes it back.
    #[inline]
    pub fn address(&self) -> usize {
        self.mapping.address
    }
}

impl<K, S, P> fmt::Debug for KmapBatch<'_, K, S, P>
where
    K: Kernel,
    S: BatchType<Set = K::KmTypes>,
    P: BorrowedPage<Paging = K::Paging>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KmapBatch({} at {:#x}, {} pages)", S::ENTRIES.name, self.mapping.address, self.mapping.pages)
    }
}

mod sealed {
    pub trait BorrowedPage {}
}

#[cfg(test)]
mod tests;
