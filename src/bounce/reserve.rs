//! The reserve: low pages set aside, and who waits for them.

use core::cmp;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::Ordering::SeqCst;

use super::{Reach, Refusal};
use crate::context::MaySleep;
use crate::kernel::BounceKernel;
use crate::page::{Memory, Page, Writable};
use crate::pool::queue::{Front, Queue, Waiter};
use crate::slot::Invariant;
use crate::sync::{self, AtomicUsize, Mutex};

/// Pages that a device reaches, for transfers alone. A `static` of the kernel's, with room for `PAGES` pages of kind `B`.
///
/// ```
/// use highmem::bounce::{Reach, Reserve};
/// # use highmem::{BounceKernel, Frame};
///
/// # fn example<K: BounceKernel>() {
/// let reserve = Reserve::<K, Frame<K::Paging>, 64>::new(Reach::ISA);
/// assert_eq!(reserve.stats().pages, 0); // until the kernel has added some
/// # }
/// ```
pub struct Reserve<K, B, const PAGES: usize> {
    reach: Reach,
    home: Mutex<Home<B, PAGES>>,
    front: Front,
    /// How many pages are here, and how many there can be: those that are not lost. Written under the lock.
    free: AtomicUsize,
    possible: AtomicUsize,
    kernel: Invariant<K>,
}

/// What is under the lock.
struct Home<B, const PAGES: usize> {
    /// Those that are here: the first `free`.
    pages: [Option<B>; PAGES],
    queue: Queue,
    counts: ReserveStats,
}

/// How a reserve is doing. Printed as a table, one line each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ReserveStats {
    /// How many pages were added.
    pub pages: usize,
    /// How many are here.
    pub free: usize,
    /// How many were here when there were fewest.
    pub low_water: usize,
    /// How many are lost, since a request was dropped between submission and completion. One that was forgotten has its pages for ever.
    pub lost: usize,
    /// How many parts of pages went through a page of the reserve.
    pub bounced: u64,
    /// How many parts of pages went to the device as they were.
    pub passed: u64,
    /// How often somebody slept until there were enough pages.
    pub sleeps: u64,
    /// The longest of these waits, in the units of [`BounceKernel::now`].
    pub longest_wait: u64,
}

impl fmt::Display for ReserveStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("pages", self.pages as u64),
            ("free", self.free as u64),
            ("low water", self.low_water as u64),
            ("lost", self.lost as u64),
            ("bounced", self.bounced),
            ("passed", self.passed),
            ("sleeps", self.sleeps),
            ("longest wait", self.longest_wait),
        ];
        for (index, (name, value)) in lines.into_iter().enumerate() {
            let end = if index + 1 < lines.len() { "\n" } else { "" };
            write!(f, "{name:12} {value:>10}{end}")?;
        }
        Ok(())
    }
}

/// Why a page does not become one of a reserve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// The device does not reach it.
    OutOfReach,
    /// The direct map does not have it: it would take a slot of its own.
    NoAddress,
    /// The reserve has as many pages as it has room for.
    Full,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfReach => "the device does not reach this page",
            Self::NoAddress => "the direct map does not have this page",
            Self::Full => "the reserve has no room for another page",
        })
    }
}

/// A page that did not become one of a reserve, and why. It comes back.
pub struct Rejected<B> {
    /// The page.
    pub page: B,
    /// Why.
    pub why: Rejection,
}

impl<B> fmt::Display for Rejected<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<B> fmt::Debug for Rejected<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<B> core::error::Error for Rejected<B> {}

impl<K, B, const PAGES: usize> Reserve<K, B, PAGES> {
    /// A reserve without pages, for a device with this reach.
    #[must_use]
    pub const fn new(reach: Reach) -> Self {
        let counts = ReserveStats {
            pages: 0,
            free: 0,
            low_water: 0,
            lost: 0,
            bounced: 0,
            passed: 0,
            sleeps: 0,
            longest_wait: 0,
        };
        Self {
            reach,
            home: Mutex::new(Home { pages: [const { None }; PAGES], queue: Queue::EMPTY, counts }),
            front: Front::empty(),
            free: AtomicUsize::new(0),
            possible: AtomicUsize::new(0),
            kernel: PhantomData,
        }
    }

    /// What the device reaches.
    pub const fn reach(&self) -> Reach {
        self.reach
    }
}

impl<K: BounceKernel, B, const PAGES: usize> Reserve<K, B, PAGES> {
    /// Adds a page: when the kernel starts, while there are low pages.
    ///
    /// # Errors
    /// When the device does not reach it, the direct map does not have it, or there is no room.
    pub fn add(&self, page: B) -> Result<(), Rejected<B>>
    where
        B: Page<Paging = K::Paging, Access: Memory + Writable> + 'static,
    {
        if !self.reach.covers(page.pfn()) {
            return Err(Rejected { page, why: Rejection::OutOfReach });
        }
        if K::direct_map(page.pfn()).is_none() {
            return Err(Rejected { page, why: Rejection::NoAddress });
        }
        let rejected = self.locked(|home| {
            if home.counts.pages == PAGES {
                return Some(page);
            }
            home.counts.pages += 1;
            home.counts.low_water += 1;
            self.possible.store(home.counts.pages - home.counts.lost, SeqCst);
            self.put(home, page);
            None
        });
        self.wake_if_waiting();
        match rejected {
            Some(page) => Err(Rejected { page, why: Rejection::Full }),
            None => Ok(()),
        }
    }

    /// How it is doing.
    pub fn stats(&self) -> ReserveStats {
        self.locked(|home| ReserveStats { free: self.free.load(SeqCst), ..home.counts })
    }

    /// Moves so many pages to the beginning of `to`, all at once; `waiting` may sleep for them.
    pub(super) fn take(
        &self,
        count: usize,
        to: &mut [Option<B>],
        mut waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<(), Refusal> {
        if count == 0 {
            return Ok(());
        }
        let mut waiter = Waiter::needs(count);
        let mut place = PlaceInQueue { reserve: self, waiter: &raw mut waiter, taken: false };
        let me = place.waiter.addr();
        let mut since = None;
        loop {
            let attempt = self.locked(|home| {
                let pages = self.possible.load(SeqCst);
                if count > pages {
                    return Some(Err(Refusal::TooLarge { needed: count, pages }));
                }
                let free = self.free.load(SeqCst);
                if (self.front.is_empty() || self.front.is_first(me)) && count <= free {
                    let pages = home.pages[free - count..free].iter_mut();
                    pages.zip(to.iter_mut()).for_each(|(page, to)| *to = page.take());
                    self.free.store(free - count, SeqCst);
                    home.counts.low_water = cmp::min(home.counts.low_water, free - count);
                    return Some(Ok(()));
                }
                if waiting.is_none() {
                    return Some(Err(Refusal::Exhausted));
                }
                if !place.taken {
                    // SAFETY: I7: `place` takes the waiter out of the queue before it is gone from this stack, where it stays; nobody else has
                    // its address but the queue.
                    unsafe { home.queue.push(&self.front, place.waiter) };
                    place.taken = true;
                }
                None
            });
            // `place` ends here: it leaves the queue, and has whoever is first then look.
            if let Some(result) = attempt {
                return result;
            }
            let Some(task) = waiting.as_deref_mut() else { return Err(Refusal::Exhausted) };
            // Of the reserve, only what can be read without the lock.
            let (front, free, possible) = (&self.front, &self.free, &self.possible);
            let until = || (front.is_first(me) && count <= free.load(SeqCst)) || count > possible.load(SeqCst);
            let since = *since.get_or_insert_with(K::now);
            let waited = K::wait(task, &until);
            let time = K::now().wrapping_sub(since);
            self.locked(|home| {
                home.counts.sleeps += 1;
                home.counts.longest_wait = cmp::max(home.counts.longest_wait, time);
            });
            if waited.is_err() {
                return Err(Refusal::GaveUp);
            }
        }
    }

    /// Takes pages back, and wakes who waits for them.
    pub(super) fn give_back(&self, pages: impl Iterator<Item = B>) {
        self.locked(|home| pages.for_each(|page| self.put(home, page)));
        self.wake_if_waiting();
    }

    /// So many pages will not come back: whoever waits for more than are left is to know.
    pub(super) fn lose(&self, count: usize) {
        self.locked(|home| {
            home.counts.lost += count;
            self.possible.store(home.counts.pages - home.counts.lost, SeqCst);
        });
        self.wake_if_waiting();
    }

    /// Counts what a request does.
    pub(super) fn count(&self, bounced: usize, passed: usize) {
        self.locked(|home| {
            home.counts.bounced += bounced as u64;
            home.counts.passed += passed as u64;
        });
    }

    /// One page more is here.
    fn put(&self, home: &mut Home<B, PAGES>, page: B) {
        let free = self.free.load(SeqCst);
        // There is room for all that were added.
        home.pages[free] = Some(page);
        self.free.store(free + 1, SeqCst);
    }

    fn wake_if_waiting(&self) {
        if !self.front.is_empty() {
            K::wake();
        }
    }

    /// Runs `f` under the lock, with interrupts off.
    fn locked<T>(&self, f: impl FnOnce(&mut Home<B, PAGES>) -> T) -> T {
        sync::locked::<K, _, _>(&self.home, K::relax, f)
    }
}

/// A place in the queue: whoever leaves lets the next one look.
struct PlaceInQueue<'r, K: BounceKernel, B, const PAGES: usize> {
    reserve: &'r Reserve<K, B, PAGES>,
    waiter: *mut Waiter,
    taken: bool,
}

impl<K: BounceKernel, B, const PAGES: usize> Drop for PlaceInQueue<'_, K, B, PAGES> {
    fn drop(&mut self) {
        if self.taken {
            // SAFETY: I7: it was put into this queue, and is taken out here alone.
            self.reserve.locked(|home| unsafe { home.queue.remove(&self.reserve.front, self.waiter) });
            self.reserve.wake_if_waiting();
        }
    }
}
