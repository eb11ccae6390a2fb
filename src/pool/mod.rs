//! `kmap`: a page is mapped for all CPUs, for as long as a guard lives, by somebody who may sleep.
//!
//! In C, `kmap(page)` returns an address and `kunmap(page)` takes the page. The pool behind it is small, so `kmap` sleeps until somebody
//! else unmaps: in a place that must not sleep, that is a deadlock; so is a task that holds one mapping and waits for a second, when all
//! others do the same. A mapping that is not ended is lost for ever, and one that is ended twice is somebody else's.
//!
//! The rule (I7, I8): whoever waits for an entry holds none. An entry becomes another page's only when no CPU remembers the page before.
//!
//! The types say it: [`kmap`] takes a [`Task`], and gives it back, with the guard, as a [`MaySleep`]: the task can sleep, and cannot
//! wait for another entry. Whoever needs several pages at once takes them at once ([`kmap_all`]). [`try_kmap`] never sleeps, and is there for
//! every context in which interrupts are on.
//!
//! # How it works
//!
//! As Linux's pool (`mm/highmem.c`), this one is a cache. A page that is mapped has one entry and one address, with a count of its users.
//! When the last of them leaves, the entry stays as it is, idle: if the same page is wanted again, it is there. Only when no entry is free
//! all idle ones are taken at once, and all CPUs flush once for all of them.
//!
//! - `entries`: the state of each entry, one word. Taking a page that is mapped changes it, and takes no lock.
//! - `index`: which entry is a page's.
//! - `queue`: who waits, first come, first served.
//!
//! # Locks
//!
//! There is one, a spin lock, for what is not on the path of a page that is mapped: the lists of free entries, the index, the queue. It
//! is held with interrupts off, since a guard can be dropped anywhere, also in code that another CPU has this one run in an interrupt.
//! It is never held while other CPUs are asked to flush: a CPU that spins on it has interrupts off, and would not answer. Whoever flushes
//! has preemption and softirqs off, so that nobody on its CPU can wait for it in vain.

mod entries;
mod index;
mod queue;
mod stats;
mod work;

use core::fmt;
use core::hint;
use core::marker::PhantomData;
use core::mem;
use core::panic::Location;
use core::sync::atomic::Ordering::AcqRel;

use const_panic::concat_panic;
use typenum::Unsigned;

use crate::context::{Atomic, AtomicDeeper, BhOff, MaySleep, Softirq, SoftirqDeeper, Task};
use crate::debug::HeldBy;
use crate::fixmap::PageTable;
use crate::kernel::{Kernel, PoolKernel};
use crate::machine::Machine;
use crate::page::{Access, Page, Pfn};
use crate::paging::{MemoryType, PAGE_SHIFT, PAGE_SIZE, Paging};
use crate::slot::Invariant;
use crate::sync::{AtomicU32, Mutex};

use entries::{Entry, Wanted};
use index::Index;
use queue::{Front, Queue};
use stats::Counts;
pub use stats::PoolStats;
use work::Work;

/// A kernel's pool: a page table of `N` entries, and the accounts of it. A `static` of the kernel.
///
/// `N` is the number of entries that a page table has in the kernel's paging mode: 512 with PAE and in 64-bit mode, 1024 without PAE.
/// [`PoolKernel::PoolEntries`] may be fewer.
#[repr(C)]
pub struct Pool<const N: usize> {
    table: PageTable,
    entries: [Entry; N],
    index: Index<N>,
    front: Front,
    /// How many entries can be had: the length of both lists. Only while somebody waits.
    available: AtomicU32,
    /// Not 0 when the kernel has linked the table; until then no entry is free.
    started: AtomicU32,
    lists: Mutex<Lists<N>>,
}

/// What is under the lock.
struct Lists<const N: usize> {
    /// Entries that no CPU remembers anything of.
    free: List<N>,
    /// Entries that were taken while they were idle, and that some CPU may remember.
    stale: List<N>,
    /// Somebody is about to have all CPUs flush.
    flushing: bool,
    queue: Queue,
    counts: Counts,
}

impl<const N: usize> Pool<N> {
    /// The pool of kernel `K`, empty.
    ///
    /// As the value of a `static`, it does not compile if the kernel's numbers do not fit. Elsewhere it panics, and [`kmap`] for such a
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
            lists: Mutex::new(Lists {
                free: List::EMPTY,
                stale: List::EMPTY,
                flushing: false,
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
struct List<const N: usize> {
    entries: [u16; N],
    length: usize,
    /// The lowest and the highest number that were put in since the last [`take_span`](Self::take_span): kept up by [`widen_from`](Self::widen_from) alone.
    span: (usize, usize),
}

impl<const N: usize> List<N> {
    const EMPTY: Self = Self { entries: [0; N], length: 0, span: (N, 0) };

    /// Puts in the first `count` entries, lowest last.
    fn push_all(&mut self, count: usize) {
        (0..count).rev().for_each(|entry| self.push(entry));
    }

    /// Each entry is in one list at the most, so there is room.
    fn push(&mut self, entry: usize) {
        if let Some(place) = self.entries.get_mut(self.length) {
            *place = entry as u16;
            self.length += 1;
        }
    }

    /// Widens the span by what is behind the first `before` entries, which is in ascending order.
    fn widen_from(&mut self, before: usize) {
        if let Some((&first, &last)) = self.entries.get(before..self.length).and_then(|new| new.first().zip(new.last()))
        {
            self.span = (self.span.0.min(first.into()), self.span.1.max(last.into()));
        }
    }

    fn pop(&mut self) -> Option<usize> {
        let entry = *self.entries.get(self.length.checked_sub(1)?)?;
        self.length -= 1;
        Some(usize::from(entry))
    }

    /// The span, which begins anew.
    fn take_span(&mut self) -> (usize, usize) {
        mem::replace(&mut self.span, (N, 0))
    }

    /// Moves the first `count` entries to another list.
    fn move_first(&mut self, count: usize, to: &mut Self) {
        to.entries[to.length..][..count].copy_from_slice(&self.entries[..count]);
        to.length += count;
        self.entries.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

/// A page mapped for all CPUs; dropping it unmaps.
///
/// It is a `[u8; 4096]` where the page's [`Access`] allows that, and offers copies where it does not. It may go to other threads as far
/// as the page may: its address is the same on all CPUs.
#[must_use = "the page is unmapped as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct Kmap<'cx, K: PoolKernel, P> {
    // Dropped in this order: the page may be freed only when it is unmapped (I5).
    mapping: Mapping<'cx, K, P>,
    page: P,
}

/// An address, and the duty to leave its entry if it is one of the pool. As in [`atomic`](crate::atomic), it owns what it protects, and it is
/// invariant in the kernel (I1).
struct Mapping<'cx, K: PoolKernel, P> {
    address: usize,
    held_by: HeldBy<'cx>,
    /// As long as the borrow of the context, which waits for no other entry meanwhile.
    context: PhantomData<&'cx mut ()>,
    kernel: Invariant<K>,
    until_unmapped: PhantomData<P>,
}

/// A guard and what is left of the context that mapped its page; or the page, and why it was not mapped.
pub type KmapResult<'cx, K, P, Rest> = Result<(Kmap<'cx, K, P>, &'cx mut Rest), KmapError<P>>;

/// A page that was not mapped, and why. It comes back.
pub struct KmapError<P> {
    /// The page, or the pages.
    pub page: P,
    /// Why.
    pub why: Refusal,
}

/// Why a page was not mapped.
// As large as an address, so that a `Result` of both is returned in registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[repr(usize)]
pub enum Refusal {
    /// All entries are in use, or promised to those who wait.
    Exhausted,
    /// The kernel ended the wait for an entry: [`PoolKernel::wait`] gave up.
    GaveUp,
    /// The kernel has not linked the pool yet: [`Pool::start`].
    NotStarted,
    /// The page is mapped as often as can be counted. Its guards were forgotten, again and again.
    TooManyUsers,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "the kmap pool is exhausted: all of its entries are in use",
            Self::GaveUp => "the wait for an entry of the kmap pool was interrupted",
            Self::NotStarted => "the kmap pool is used before `Pool::start`",
            Self::TooManyUsers => "the page is mapped in the kmap pool as often as can be counted",
        })
    }
}

impl<P> fmt::Display for KmapError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

// Whatever the page is: so that `unwrap` is there for all of them.
impl<P> fmt::Debug for KmapError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmapError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<P> core::error::Error for KmapError<P> {}

/// A context that may wait for an entry of the pool: a [`Task`] that holds none. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot wait for an entry of the kmap pool",
    label = "expected `&mut Task`",
    note = "a task that holds a mapping of the pool must not wait for another: take all pages at once, with `kmap_all` or `kmap_pair`",
    note = "where nothing may sleep, map by `try_kmap`, or by `kmap_atomic` in a slot"
)]
pub trait MayWait<'e, K>: sealed::Context {
    #[doc(hidden)]
    fn task(&mut self) -> &mut Task<'e, K>;
}

impl<'e, K: Kernel> MayWait<'e, K> for Task<'e, K> {
    #[inline]
    fn task(&mut self) -> &mut Self {
        self
    }
}

/// A context in which other CPUs can be asked to flush: interrupts are on. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot map pages in the kmap pool",
    label = "expected a task, or a context with interrupts on",
    note = "the pool has other CPUs flush, and cannot wait for that with interrupts off: map by `kmap_atomic` in a slot"
)]
pub trait InterruptsOn<K>: sealed::Context {
    /// What the context is while it holds a mapping: itself, but a [`Task`] is [`MaySleep`].
    type Rest;

    #[doc(hidden)]
    fn rest(&mut self) -> &mut Self::Rest;
}

macro_rules! interrupts_on {
    ($($context:ident as $rest:ident)*) => {$(
        impl<'e, K: Kernel> InterruptsOn<K> for $context<'e, K> {
            type Rest = $rest<'e, K>;

            #[inline]
            fn rest(&mut self) -> &mut $rest<'e, K> {
                self
            }
        }
        impl<K: Kernel> sealed::Context for $context<'_, K> {}
    )*};
}

interrupts_on! {
    Task as MaySleep
    MaySleep as MaySleep
    Atomic as Atomic
    AtomicDeeper as AtomicDeeper
    BhOff as BhOff
    Softirq as Softirq
    SoftirqDeeper as SoftirqDeeper
}

/// Maps `page` for all CPUs, and sleeps until that is possible. Linux: `kmap()`.
///
/// A page that is mapped already keeps its address, and counts one user more. A page of the direct map is not mapped a second time,
/// unless [`Kernel::FORCE_MAP`].
///
/// What comes back beside the guard is the task, for as long as it holds the mapping: it may sleep, and may not wait for another entry.
///
/// # Errors
/// When the kernel ended the wait ([`Refusal::GaveUp`]), has no pool yet, or has lost count of the page's users.
///
/// ```
/// use highmem::{Frame, MaySleep, PoolKernel, Task, kmap};
///
/// # fn read_block<K>(_: &mut MaySleep<'_, K>, _: &mut [u8]) {}
/// fn read_page<K: PoolKernel>(task: &mut Task<'_, K>, page: &mut Frame<K::Paging>) {
///     let (mut bytes, task) = kmap(task, page).expect("this kernel does not interrupt waits");
///     read_block(task, &mut bytes[..512]); // may sleep, and go on on another CPU
/// }
/// ```
#[inline(always)]
#[track_caller]
pub fn kmap<'cx, 'e: 'cx, K, P, C>(task: &'cx mut C, page: P) -> KmapResult<'cx, K, P, MaySleep<'e, K>>
where
    K: PoolKernel,
    P: Page<Paging = K::Paging>,
    C: MayWait<'e, K>,
{
    const { Memory::<P>::check() };
    let task = task.task();
    task.held.check_none::<K>();
    let (held, may_sleep, caller) = (&task.held, &mut task.may_sleep, Location::caller());
    match take::<K, P>(&page, Some(may_sleep)) {
        Ok(address) => Ok((Kmap::new(address, page, held.add(caller)), may_sleep)),
        Err(why) => Err(KmapError { page, why }),
    }
}

/// Maps two pages, and sleeps until that is possible for both at once. As [`kmap_all`], for pages of two types.
///
/// # Errors
/// As [`kmap`].
#[track_caller]
#[allow(clippy::type_complexity, reason = "two guards and the task")]
pub fn kmap_pair<'cx, 'e: 'cx, K, P, Q, C>(
    task: &'cx mut C,
    first: P,
    second: Q,
) -> Result<(Kmap<'cx, K, P>, Kmap<'cx, K, Q>, &'cx mut MaySleep<'e, K>), KmapError<(P, Q)>>
where
    K: PoolKernel,
    P: Page<Paging = K::Paging>,
    Q: Page<Paging = K::Paging>,
    C: MayWait<'e, K>,
{
    const {
        Memory::<P>::check();
        Memory::<Q>::check();
        Span::<K>::check_room_for(2);
    }
    let task = task.task();
    task.held.check_none::<K>();
    let (held, may_sleep, caller) = (&task.held, &mut task.may_sleep, Location::caller());
    match take_all::<K, 2>([Place::of::<K, P>(&first), Place::of::<K, Q>(&second)], Some(may_sleep)) {
        Ok([one, other]) => {
            Ok((Kmap::new(one, first, held.add(caller)), Kmap::new(other, second, held.add(caller)), may_sleep))
        }
        Err(why) => Err(KmapError { page: (first, second), why }),
    }
}

/// Maps all `pages`, and sleeps until that is possible for all of them at once. Any number of tasks may do so, with the same pages in any
/// order: none holds an entry while it waits.
///
/// Does not compile if there are more pages than [`PoolKernel::PoolEntries`].
///
/// # Errors
/// As [`kmap`].
#[track_caller]
#[allow(clippy::type_complexity, reason = "the guards and the task")]
pub fn kmap_all<'cx, 'e: 'cx, K, P, C, const COUNT: usize>(
    task: &'cx mut C,
    pages: [P; COUNT],
) -> Result<([Kmap<'cx, K, P>; COUNT], &'cx mut MaySleep<'e, K>), KmapError<[P; COUNT]>>
where
    K: PoolKernel,
    P: Page<Paging = K::Paging>,
    C: MayWait<'e, K>,
{
    const {
        Memory::<P>::check();
        Span::<K>::check_room_for(COUNT);
    }
    let task = task.task();
    task.held.check_none::<K>();
    let (held, may_sleep, caller) = (&task.held, &mut task.may_sleep, Location::caller());
    match take_all::<K, COUNT>(pages.each_ref().map(Place::of::<K, P>), Some(may_sleep)) {
        Ok(addresses) => {
            let mut addresses = addresses.into_iter();
            // As many as there are pages.
            let guards = pages.map(|page| Kmap::new(addresses.next().unwrap_or_default(), page, held.add(caller)));
            Ok((guards, may_sleep))
        }
        Err(why) => Err(KmapError { page: pages, why }),
    }
}

/// Maps `page` for all CPUs, if that is possible without sleeping. It may wait for other CPUs to flush.
///
/// # Errors
/// When all entries are in use ([`Refusal::Exhausted`]), and as [`kmap`].
#[inline(always)]
#[track_caller]
pub fn try_kmap<'cx, K, P, C>(context: &'cx mut C, page: P) -> KmapResult<'cx, K, P, C::Rest>
where
    K: PoolKernel,
    P: Page<Paging = K::Paging>,
    C: InterruptsOn<K>,
{
    const { Memory::<P>::check() };
    match take::<K, P>(&page, None) {
        Ok(address) => Ok((Kmap::new(address, page, HeldBy::NOBODY), context.rest())),
        Err(why) => Err(KmapError { page, why }),
    }
}

/// One user more of the mapping of `page`, if it is mapped now. Linux: `page_address()`; but the mapping lasts as long as the guard.
///
/// `None` says nothing about a page that is mapped to be written, through `&mut page`: its mapping is not this one's.
#[inline]
#[allow(clippy::type_complexity, reason = "the guard and the context")]
pub fn page_address<'cx, 'p, K, P, C>(
    context: &'cx mut C,
    page: &'p P,
) -> Option<(Kmap<'cx, K, &'p P>, &'cx mut C::Rest)>
where
    K: PoolKernel,
    P: Page<Paging = K::Paging>,
    C: InterruptsOn<K>,
{
    const { Memory::<P>::check() };
    let address = match Place::of::<K, _>(&page) {
        Place::Direct(address) => address,
        Place::Pool(wanted) => K::pool().find::<K>(wanted).ok()??,
    };
    Some((Kmap::new(address, page, HeldBy::NOBODY), context.rest()))
}

/// Unmaps, and gives back the page. Linux: `kunmap()`.
///
/// Takes nothing but the guard that [`kmap`] and its like returned:
///
/// ```compile_fail
/// # use highmem::{Frame, PoolKernel, Task, kmap, kunmap};
/// fn clear<K: PoolKernel>(task: &mut Task<'_, K>, page: &mut Frame<K::Paging>) {
///     let (mut bytes, _) = kmap(task, &mut *page).unwrap();
///     bytes.fill(0);
///     kunmap(page); // the page is not the mapping
/// }
/// ```
#[inline]
pub fn kunmap<G, P>(guard: G) -> P
where
    G: PoolGuard<Page = P>,
{
    guard.unmap()
}

/// Has all CPUs forget all pages that are idle in the pool: before such a page gets another cache attribute, or none at all. Linux:
/// `kmap_flush_unused()`.
pub fn flush_unused<K: PoolKernel, C: InterruptsOn<K>>(_context: &mut C) {
    K::pool().flush_unused::<K>();
}

/// How the pool is doing.
pub fn stats<K: PoolKernel>() -> PoolStats {
    K::pool().stats::<K>()
}

/// A mapping that [`kmap`] and its like made, and [`kunmap`] ends. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mapping of the kmap pool, so it cannot be unmapped",
    label = "expected the guard that `kmap` returned",
    note = "keep the guard: `let (guard, task) = kmap(task, page)?;`, and pass it here, or let it go out of scope",
    note = "the guard gives the page back: `let page = kunmap(guard);`"
)]
pub trait PoolGuard: sealed::Guard {
    /// The page that comes back.
    type Page;

    #[doc(hidden)]
    fn unmap(self) -> Self::Page;
}

#[diagnostic::do_not_recommend]
impl<K: PoolKernel, P> PoolGuard for Kmap<'_, K, P> {
    type Page = P;

    #[inline]
    fn unmap(self) -> P {
        let Self { mapping, page } = self;
        drop(mapping);
        page
    }
}

impl<K: PoolKernel, P> sealed::Guard for Kmap<'_, K, P> {}

impl<'cx, K: PoolKernel, P> Kmap<'cx, K, P> {
    /// A guard of a page that has just been mapped.
    #[inline]
    fn new(address: usize, page: P, held_by: HeldBy<'cx>) -> Self {
        Self {
            mapping: Mapping {
                address,
                held_by,
                context: PhantomData,
                kernel: PhantomData,
                until_unmapped: PhantomData,
            },
            page,
        }
    }

    /// The page that is mapped.
    #[inline]
    pub fn page(&self) -> &P {
        &self.page
    }

    /// The address at which the page is mapped, on all CPUs, for as long as the guard lives. Nothing in this crate takes it back.
    #[inline]
    pub fn address(&self) -> usize {
        self.mapping.address
    }
}

impl<K: PoolKernel, P: Page<Paging = K::Paging>> Kmap<'_, K, P> {
    /// The number of the frame that is mapped.
    #[inline]
    pub fn pfn(&self) -> Pfn<K::Paging> {
        self.page.pfn()
    }
}

impl<K: PoolKernel, P: Page<Paging = K::Paging>> fmt::Debug for Kmap<'_, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kmap({:#x}, {:?})", self.mapping.address, self.pfn())
    }
}

impl<K: PoolKernel, P> Drop for Mapping<'_, K, P> {
    #[inline]
    fn drop(&mut self) {
        self.held_by.end();
        if let Some(entry) = Span::<K>::entry_at(self.address) {
            // I10: no access to the page moves down behind the end of its use.
            K::Machine::barrier();
            K::pool().leave::<K>(entry);
        }
    }
}

/// The pages of a kind can be in the pool. Asked in each function that takes some, so that the compiler's message leads to its caller.
struct Memory<P>(PhantomData<P>);

impl<P: Page> Memory<P> {
    #[track_caller]
    const fn check() {
        assert!(
            <P::Access as Access>::RAM,
            "the kmap pool is for memory: map a frame of a device by `kmap_atomic`, in a slot"
        );
        // Entries say write-back, as the direct map does.
        assert!(matches!(P::MEMORY_TYPE, MemoryType::WriteBack), "pages of the kmap pool are cached write-back");
    }
}

/// Where a page is, or in what mapping it is to be.
enum Place {
    /// In the direct map, at this address.
    Direct(usize),
    /// In the pool.
    Pool(Wanted),
}

impl Place {
    #[inline]
    fn of<K: PoolKernel, P: Page<Paging = K::Paging>>(page: &P) -> Self {
        let direct = if K::FORCE_MAP { None } else { K::direct_map(page.pfn()) };
        match direct {
            Some(bytes) => {
                let address = bytes.as_ptr().expose_provenance();
                // SAFETY: I3: `Kernel::direct_map` promises that this page is outside of the pool's window. Knowing it, the compiler
                // drops the unmapping of lowmem pages.
                unsafe { hint::assert_unchecked(!Span::<K>::contains(address)) };
                Self::Direct(address)
            }
            None => Self::Pool(Wanted { pfn: page.pfn().number(), writable: <P::Access as Access>::WRITABLE }),
        }
    }
}

/// The address of `page`, which is in use from here on; `waiting` may sleep for it.
#[inline(always)]
#[track_caller]
fn take<K: PoolKernel, P: Page<Paging = K::Paging>>(
    page: &P,
    waiting: Option<&mut MaySleep<'_, K>>,
) -> Result<usize, Refusal> {
    let wanted = match Place::of::<K, P>(page) {
        Place::Direct(address) => return Ok(address),
        Place::Pool(wanted) => wanted,
    };
    // For all pages of a kernel the same code, which is not repeated at each place that maps one.
    K::pool().find_or_take::<K>(wanted, waiting)
}

/// The addresses of pages, all of which are in use from here on, or none.
#[track_caller]
fn take_all<K: PoolKernel, const COUNT: usize>(
    places: [Place; COUNT],
    waiting: Option<&mut MaySleep<'_, K>>,
) -> Result<[usize; COUNT], Refusal> {
    let mut addresses = [0; COUNT];
    let mut wanted = [None; COUNT];
    for ((place, address), wanted) in places.into_iter().zip(&mut addresses).zip(&mut wanted) {
        match place {
            Place::Direct(found) => *address = found,
            Place::Pool(page) => *wanted = Some(page),
        }
    }
    if wanted.iter().any(Option::is_some) {
        K::pool().take::<K>(&wanted, &mut addresses, waiting)?;
    }
    Ok(addresses)
}

/// The arithmetic of the pool's addresses.
struct Span<K>(PhantomData<K>);

impl<K: PoolKernel> Span<K> {
    /// How many entries there are.
    const COUNT: usize = <K::PoolEntries as Unsigned>::USIZE;

    /// The numbers of the kernel's pool fit (I9). Reports the caller's line.
    #[track_caller]
    const fn check() {
        let (in_a_table, in_the_pool) = (<K::Paging as Paging>::ENTRIES_PER_TABLE, <K::Pool as PoolTable>::ENTRIES);
        if in_the_pool != in_a_table {
            concat_panic!("the kmap pool is one page table, which has ", in_a_table, " entries, and not ", in_the_pool);
        }
        if Self::COUNT > in_a_table {
            concat_panic!(
                "the kmap pool is too small: `PoolEntries` is ",
                Self::COUNT,
                ", and a page table has ",
                in_a_table,
                " entries"
            );
        }
        let span = in_a_table * PAGE_SIZE;
        if !K::PKMAP_BASE.is_multiple_of(span) {
            concat_panic!("PKMAP_BASE ", {#X}: K::PKMAP_BASE, " is not a multiple of what one page table covers, ", {#X}: span);
        }
    }

    const CHECKED: () = Self::check();

    /// So many pages at once can be had.
    #[track_caller]
    const fn check_room_for(pages: usize) {
        if pages > Self::COUNT {
            concat_panic!(
                "the kmap pool is too small: ",
                pages,
                " pages at once, and it has ",
                Self::COUNT,
                " entries"
            );
        }
    }

    /// The address of an entry's page.
    #[inline]
    fn address_of(entry: usize) -> usize {
        const { Self::CHECKED };
        K::PKMAP_BASE + (entry << PAGE_SHIFT)
    }

    /// Whether an address is one of the pool's.
    #[inline]
    fn contains(address: usize) -> bool {
        address.wrapping_sub(K::PKMAP_BASE) < Self::COUNT << PAGE_SHIFT
    }

    /// The entry for an address, if it is one of the pool's.
    #[inline]
    fn entry_at(address: usize) -> Option<usize> {
        Self::contains(address).then_some(address.wrapping_sub(K::PKMAP_BASE) >> PAGE_SHIFT)
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

mod sealed {
    pub trait Context {}
    pub trait Guard {}
}

#[cfg(all(test, shuttle))]
mod orders;
#[cfg(all(test, not(shuttle)))]
mod tests;
