//! `kmap`: a page is mapped for all CPUs, for as long as a guard lives, by somebody who may sleep.
//!
//! In C, `kmap(page)` returns an address and `kunmap(page)` takes the page. The pool behind it is small, so `kmap` sleeps until somebody
//! else unmaps: in a place that must not sleep, that is a deadlock; so is a task that holds one mapping and waits for a second, when all
//! others do the same. A mapping that is not ended is lost for ever, and one that is ended twice is somebody else's.
//!
//! The rule (I7, I8): whoever waits for an entry holds none. An entry becomes another page's only when no CPU remembers the page before.
//!
//! The types say it: [`kmap`] takes a [`Task`](crate::Task), and gives it back, with the guard, as a [`MaySleep`]: the task can sleep, and cannot
//! wait for another entry. Whoever needs several pages at once takes them at once ([`kmap_all`]). [`try_kmap`] never sleeps, and is there for
//! every context in which interrupts are on.
//!
//! # How it works
//!
//! As Linux's pool (`mm/highmem.c`), this one is a cache. A page that is mapped has one entry and one address, with a count of its users.
//! When the last of them leaves, the entry stays as it is, idle: if the same page is wanted again, it is there. Only when no entry is free
//! all idle ones are taken at once, and all CPUs flush once for all of them.
//!
//! - `table`: the page table, and the lists of entries that can be had.
//! - `entries`: the state of each entry, one word. Taking a page that is mapped changes it, and takes no lock.
//! - `index`: which entry is a page's.
//! - `queue`: who waits, first come, first served.
//!
//! # Locks
//!
//! There is one, a spin lock, for what is not on the path of a page that is mapped: the lists of free entries, the index, the queue. It
//! is held with interrupts off, since a guard can be dropped anywhere, also in code that another CPU has this one run in an interrupt;
//! whoever waits for it serves its interrupts meanwhile. It is never held while other CPUs are asked to flush: one that came with
//! interrupts off, and waits for it, would not answer. Whoever flushes has preemption and softirqs off, so that nobody on its CPU can
//! wait for it in vain; those who find nothing free wait until the flush is over, and leave the lock to it.

mod context;
mod entries;
mod guard;
mod index;
pub(crate) mod queue;
mod span;
mod stats;
mod table;
mod work;

use core::fmt;
use core::hint;
use core::marker::PhantomData;
use core::panic::Location;

use crate::context::MaySleep;
use crate::debug::HeldBy;
use crate::kernel::PoolKernel;
use crate::page::{Access, Page};
use crate::paging::MemoryType;

pub use context::{InterruptsOn, MayWait};
use entries::Wanted;
pub use guard::{Kmap, PoolGuard, kunmap};
use span::Span;
pub use stats::PoolStats;
pub use table::{Pool, PoolTable};
use work::Work;

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

/// Maps `page` for all CPUs, and sleeps until that is possible. Linux: `kmap()`.
///
/// A page that is mapped already keeps its address, and counts one user more. A page of the direct map is not mapped a second time,
/// unless [`Kernel::FORCE_MAP`](crate::Kernel::FORCE_MAP).
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
        Ok(address) => Ok((Kmap::new(address, page, held.add(caller), caller), may_sleep)),
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
        Ok([one, other]) => Ok((
            Kmap::new(one, first, held.add(caller), caller),
            Kmap::new(other, second, held.add(caller), caller),
            may_sleep,
        )),
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
            let guards =
                pages.map(|page| Kmap::new(addresses.next().unwrap_or_default(), page, held.add(caller), caller));
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
        Ok(address) => Ok((Kmap::new(address, page, HeldBy::NOBODY, Location::caller()), context.rest())),
        Err(why) => Err(KmapError { page, why }),
    }
}

/// One user more of the mapping of `page`, if it is mapped now. Linux: `page_address()`; but the mapping lasts as long as the guard.
///
/// `None` says nothing about a page that is mapped to be written, through `&mut page`: its mapping is not this one's.
#[inline]
#[track_caller]
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
    Some((Kmap::new(address, page, HeldBy::NOBODY, Location::caller()), context.rest()))
}

/// Has all CPUs forget all pages that are idle in the pool: before such a page gets another cache attribute, becomes a table that a
/// hypervisor wants to have mapped read only, or is taken out of the kernel's addresses altogether. Linux: `kmap_flush_unused()`.
///
/// Safe code cannot need it: a page that is mapped has one type, and so one memory type and one owner. What changes either is a promise to
/// an `unsafe` function, such as [`DeviceFrame::from_pfn`](crate::DeviceFrame::from_pfn).
pub fn flush_unused<K: PoolKernel, C: InterruptsOn<K>>(_context: &mut C) {
    K::pool().flush_unused::<K>();
}

/// How the pool is doing.
pub fn stats<K: PoolKernel>() -> PoolStats {
    K::pool().stats::<K>()
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

#[cfg(all(test, shuttle))]
mod orders;
#[cfg(all(test, not(shuttle)))]
mod tests;
