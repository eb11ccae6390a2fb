//! What the pool does with its entries: it finds one, fills one, and takes back the idle ones.

use core::marker::PhantomData;
use core::mem;
use core::num::NonZero;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::entries::{Entry, Left, Miss, Wanted};
use super::index::Vacant;
use super::queue::Waiter;
use super::span::Span;
use super::table::{Lists, Pool};
use super::{PoolStats, Refusal};
use crate::context::MaySleep;
use crate::debug;
use crate::kernel::PoolKernel;
use crate::machine::Machine;
use crate::paging::{MemoryType, PAGE_SIZE, Paging, Protection};
use crate::sync::{self, fence};

/// How many idle entries are taken under the lock at once: for so long interrupts are off.
const AT_ONCE: usize = 16;

/// What an attempt to have all pages at once came to.
enum Attempt {
    /// They are the caller's.
    Done,
    /// So many entries are missing. The first `held` pages are the caller's, and have to be left again.
    Short { missing: usize, held: usize },
    /// There is something wrong. As with `Short`, the first pages have to be left again.
    Refused { why: Refusal, held: usize },
}

/// What a pool does, however many entries it has. Sealed: nobody outside can name it.
#[allow(private_interfaces, reason = "nobody outside can name it")]
pub trait Work: Sync + Sized + 'static {
    /// Becomes a user of the mapping that is wanted, if there is one. Takes no lock.
    fn find<K: PoolKernel<Pool = Self>>(&self, wanted: Wanted) -> Result<Option<usize>, Refusal>;

    /// Becomes a user of the mapping that is wanted, and makes it if there is none.
    #[track_caller]
    fn find_or_take<K: PoolKernel<Pool = Self>>(
        &self,
        wanted: Wanted,
        waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<usize, Refusal>;

    /// Becomes a user of all mappings that are wanted, or of none; makes those that there are not. Writes their addresses down.
    #[track_caller]
    fn take<K: PoolKernel<Pool = Self>>(
        &self,
        wanted: &[Option<Wanted>],
        addresses: &mut [usize],
        waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<(), Refusal>;

    /// Ends the use of an entry.
    fn leave<K: PoolKernel<Pool = Self>>(&self, entry: usize);

    /// Has all CPUs forget all entries that are idle.
    fn flush_unused<K: PoolKernel<Pool = Self>>(&self);

    /// How the pool is doing.
    fn stats<K: PoolKernel<Pool = Self>>(&self) -> PoolStats;
}

impl<const N: usize> Work for Pool<N> {
    #[inline]
    fn find<K: PoolKernel<Pool = Self>>(&self, wanted: Wanted) -> Result<Option<usize>, Refusal> {
        // Taken and found to be another's: it is left as by anybody.
        let entry = self.hold(wanted, |entry| self.leave::<K>(entry))?;
        Ok(entry.map(Span::<K>::address_of))
    }

    #[inline(always)]
    fn find_or_take<K: PoolKernel<Pool = Self>>(
        &self,
        wanted: Wanted,
        waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<usize, Refusal> {
        let number = self.index.first_candidate(wanted.pfn);
        if let Some(entry) = self.entries.get(number) {
            match entry.hold(wanted) {
                Ok(()) => return Ok(Span::<K>::address_of(number)),
                Err(Miss::Moved) => self.leave::<K>(number),
                Err(Miss::Other | Miss::Full) => {}
            }
            return self.find_or_take_slowly::<K>(wanted, waiting);
        }
        match self.take_free::<K>(wanted) {
            Some(address) => Ok(address.get()),
            None => self.find_or_take_slowly::<K>(wanted, waiting),
        }
    }

    #[inline(never)]
    fn take<K: PoolKernel<Pool = Self>>(
        &self,
        wanted: &[Option<Wanted>],
        addresses: &mut [usize],
        mut waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<(), Refusal> {
        if self.started.load(Acquire) == 0 {
            return Err(Refusal::NotStarted);
        }
        debug::check_interrupts_on::<K>();
        let needs = wanted.iter().flatten().count();
        let mut waiter = Waiter::needs(needs);
        let mut place = PlaceInQueue::<K, N> { pool: self, waiter: &raw mut waiter, taken: false, kernel: PhantomData };
        let me = place.waiter.addr();
        let mut since = None;
        let mut reclaimed = false;
        loop {
            let first = self.front.is_empty() || self.front.is_first(me);
            let (attempt, kept) = self.locked::<K, _>(|lists| {
                // What the others need who wait is theirs, unless the caller is the first.
                let own = if place.taken { needs } else { 0 };
                let kept = if self.front.is_first(me) { 0 } else { lists.queue.needs() - own };
                let room = lists.free.length.saturating_sub(kept);
                (self.attempt::<K>(lists, wanted, addresses, room), kept)
            });
            let missing = match attempt {
                Attempt::Done => return Ok(()),
                Attempt::Short { missing, held } => {
                    self.leave_all::<K>(&wanted[..held], addresses);
                    missing
                }
                Attempt::Refused { why, held } => {
                    self.leave_all::<K>(&wanted[..held], addresses);
                    return Err(why);
                }
            };
            if self.reclaim::<K>(missing + kept) {
                // Others may take it all before the caller looks again. It comes again if it may not wait, and else in the queue.
                if waiting.is_none() || place.taken || !mem::replace(&mut reclaimed, true) {
                    continue;
                }
            }
            let Some(task) = waiting.as_deref_mut() else { return Err(Refusal::Exhausted) };
            if !place.taken {
                // Whoever leaves an entry from here on hands it over; the next attempt finds what was left before.
                place.take();
                continue;
            }
            // Whoever becomes the first looks once whether those before it have mapped its page.
            let enough = || self.front.is_first(me) && (!first || self.available.load(SeqCst) as usize >= missing);
            let since = *since.get_or_insert_with(K::now);
            let waited = K::wait(task, &enough);
            let time = K::now().wrapping_sub(since);
            self.locked::<K, _>(|lists| lists.counts.slept(time));
            if waited.is_err() {
                return Err(Refusal::GaveUp);
            }
        }
    }

    #[inline]
    fn leave<K: PoolKernel<Pool = Self>>(&self, entry: usize) {
        let Some(state) = self.entries.get(entry) else { return };
        if state.leave() == Left::Idle && !self.front.is_empty() {
            self.hand_over::<K>(entry);
        }
    }

    fn flush_unused<K: PoolKernel<Pool = Self>>(&self) {
        while !self.alone::<K>(|| {
            self.sweep::<K>();
            self.flush::<K>();
        }) {
            K::relax();
        }
    }

    fn stats<K: PoolKernel<Pool = Self>>(&self) -> PoolStats {
        let counts = self.locked::<K, _>(|lists| lists.counts);
        let entries = &self.entries[..Span::<K>::COUNT];
        let users = || entries.iter().filter_map(Entry::users);
        PoolStats {
            entries: entries.len(),
            in_use: users().filter(|&(users, _)| users > 0).count(),
            idle: users().filter(|&(users, _)| users == 0).count(),
            hits: entries.iter().map(|entry| u64::from(entry.hits())).sum(),
            remaps: counts.remaps,
            flushes: counts.flushes,
            sleeps: counts.sleeps,
            longest_wait: counts.longest_wait,
        }
    }
}

impl<const N: usize> Pool<N> {
    /// Becomes a user of the entry that maps what is wanted. `moved` leaves an entry that was taken, and is another page's.
    #[inline]
    fn hold(&self, wanted: Wanted, moved: impl Fn(usize)) -> Result<Option<usize>, Refusal> {
        for candidate in self.index.candidates(wanted.pfn) {
            let Some(entry) = self.entries.get(candidate) else { break };
            match entry.hold(wanted) {
                Ok(()) => return Ok(Some(candidate)),
                Err(Miss::Other) => {}
                Err(Miss::Full) => return Err(Refusal::TooManyUsers),
                Err(Miss::Moved) => moved(candidate),
            }
        }
        Ok(None)
    }

    /// As [`find_or_take`](Work::find_or_take), for a page that is not where most are, or for which there is no free entry.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn find_or_take_slowly<K: PoolKernel<Pool = Self>>(
        &self,
        wanted: Wanted,
        waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<usize, Refusal> {
        if let Some(address) = self.find::<K>(wanted)? {
            return Ok(address);
        }
        let mut address = [0];
        self.take::<K>(&[Some(wanted)], &mut address, waiting)?;
        Ok(address[0])
    }

    /// Maps what is wanted in a free entry, if there is one for the taking, and if nobody else has mapped it meanwhile.
    #[inline(never)]
    #[track_caller]
    fn take_free<K: PoolKernel<Pool = Self>>(&self, wanted: Wanted) -> Option<NonZero<usize>> {
        let address = self.locked::<K, _>(|lists| {
            let vacant = self.index.locate(wanted.pfn, |entry| self.maps(entry, wanted)).err()?;
            // What those need who wait is theirs.
            let entry = if lists.free.length > lists.queue.needs() { lists.free.pop()? } else { return None };
            self.fill::<K>(lists, vacant, entry, wanted);
            self.tell_available(lists);
            NonZero::new(Span::<K>::address_of(entry))
        })?;
        debug::check_interrupts_on::<K>();
        Some(address)
    }

    /// Runs `f` under the lock, with interrupts off.
    #[inline]
    pub(super) fn locked<K: PoolKernel, R>(&self, f: impl FnOnce(&mut Lists<N>) -> R) -> R {
        sync::locked::<K, _, _>(&self.lists, K::relax, f)
    }

    /// Becomes a user of all that is wanted, with so many entries of the free list at the most. Under the lock.
    fn attempt<K: PoolKernel<Pool = Self>>(
        &self,
        lists: &mut Lists<N>,
        wanted: &[Option<Wanted>],
        addresses: &mut [usize],
        room: usize,
    ) -> Attempt {
        // Nothing is filled in vain.
        let missing = if wanted.len() > 1 { self.missing(wanted) } else { 0 };
        if missing > room {
            return Attempt::Short { missing, held: 0 };
        }
        let mut filled = 0;
        for (held, (page, address)) in wanted.iter().zip(addresses).enumerate() {
            let Some(page) = *page else { continue };
            let entry = loop {
                match self.index.locate(page.pfn, |entry| self.maps(entry, page)) {
                    // Under the lock it maps this page until it is held.
                    Ok(entry) => match self.entries[entry].hold(page) {
                        Ok(()) => break entry,
                        Err(Miss::Full) => return Attempt::Refused { why: Refusal::TooManyUsers, held },
                        Err(Miss::Other | Miss::Moved) => {}
                    },
                    Err(vacant) => {
                        let free = if filled < room { lists.free.pop() } else { None };
                        let Some(entry) = free else {
                            return Attempt::Short { missing: filled + self.missing(&wanted[held..]).max(1), held };
                        };
                        self.fill::<K>(lists, vacant, entry, page);
                        self.tell_available(lists);
                        filled += 1;
                        break entry;
                    }
                }
            };
            *address = Span::<K>::address_of(entry);
        }
        Attempt::Done
    }

    /// How many entries it takes to map what of this is not mapped. Under the lock.
    fn missing(&self, wanted: &[Option<Wanted>]) -> usize {
        let is_missing = |&at: &usize| {
            let page = wanted[at];
            let is_mapped = |page: Wanted| self.index.locate(page.pfn, |entry| self.maps(entry, page)).is_ok();
            page.is_some_and(|page| !is_mapped(page)) && !wanted[..at].contains(&page)
        };
        (0..wanted.len()).filter(is_missing).count()
    }

    /// Whether an entry maps this.
    #[inline]
    fn maps(&self, entry: usize, wanted: Wanted) -> bool {
        self.entries.get(entry).is_some_and(|entry| entry.maps(wanted))
    }

    /// Maps what is wanted in a free entry, with the caller as its user. Under the lock.
    #[inline]
    pub(super) fn fill<K: PoolKernel<Pool = Self>>(
        &self,
        lists: &mut Lists<N>,
        vacant: Vacant,
        entry: usize,
        wanted: Wanted,
    ) {
        lists.counts.remaps += 1;
        let protection = Protection::new(wanted.writable)
            .cache(const { K::PAT.index_of(MemoryType::WriteBack) })
            .global(K::TRANSLATIONS.are_global())
            .no_execute(K::no_execute());
        // SAFETY: I8: the entry came out of the free list, so it is empty, no CPU remembers anything of it, and it is the caller's.
        unsafe { K::Paging::set::<K::Machine>(self.pte::<K>(entry), K::Paging::entry(wanted.pfn, protection)) };
        // I10: no access to the page moves up across the store that makes it accessible.
        K::Machine::barrier();
        self.entries[entry].fill(wanted);
        self.entries[entry].set_place(self.index.insert(vacant, entry));
    }

    /// Tells those who wait how many entries can be had. Under the lock.
    #[inline]
    fn tell_available(&self, lists: &Lists<N>) {
        if !self.front.is_empty() {
            self.available.store((lists.free.length + lists.stale.length) as u32, SeqCst);
        }
    }

    /// Leaves those of these pages that are in the pool.
    fn leave_all<K: PoolKernel<Pool = Self>>(&self, wanted: &[Option<Wanted>], addresses: &[usize]) {
        for (_, &address) in wanted.iter().zip(addresses).filter(|(page, _)| page.is_some()) {
            if let Some(entry) = Span::<K>::entry_at(address) {
                self.leave::<K>(entry);
            }
        }
    }

    /// Gives an entry that has become idle to those who wait.
    #[cold]
    #[inline(never)]
    fn hand_over<K: PoolKernel<Pool = Self>>(&self, entry: usize) {
        let taken = self.locked::<K, _>(|lists| {
            let before = lists.stale.length;
            let taken = self.take_back::<K>(lists, entry);
            lists.stale.widen_from(before);
            self.tell_available(lists);
            taken
        });
        if taken {
            K::wake_one();
        }
    }

    /// Takes an entry if it is idle, and unmaps its page. It is stale until all CPUs have flushed. Under the lock.
    fn take_back<K: PoolKernel<Pool = Self>>(&self, lists: &mut Lists<N>, entry: usize) -> bool {
        if !self.entries[entry].take_idle() {
            return false;
        }
        // I10: no access to the page moves down across the store that makes it inaccessible.
        K::Machine::barrier();
        // SAFETY: I8: from idle to nothing, the entry is this caller's. I4: nobody uses an address of an idle entry.
        unsafe { K::Paging::clear::<K::Machine>(self.pte::<K>(entry)) };
        let place = self.entries[entry].place();
        self.index.remove(
            place,
            |other| self.entries[other].pfn(),
            |other, place| self.entries[other].set_place(place),
        );
        lists.stale.push(entry);
        true
    }

    /// Tries to make so many entries free, and says whether so many were, or may be if somebody else has done it.
    #[cold]
    #[inline(never)]
    fn reclaim<K: PoolKernel<Pool = Self>>(&self, missing: usize) -> bool {
        let mut enough = false;
        let done = self.alone::<K>(|| {
            let is_enough = || self.locked::<K, _>(|lists| lists.free.length + lists.stale.length) >= missing;
            enough = is_enough() || {
                self.sweep::<K>();
                is_enough()
            };
            if enough {
                self.flush::<K>();
            }
        });
        if !done {
            // Somebody else is at it, whom nobody preempts. Until they are done nothing is free, and they need the lock.
            while self.flushing.load(Relaxed) != 0 {
                K::relax();
            }
            return true;
        }
        enough
    }

    /// Runs `f` as the only one who flushes; `false` if somebody else does so now.
    ///
    /// It cannot be preempted, nor run a softirq, so nobody on this CPU waits for its end.
    fn alone<K: PoolKernel<Pool = Self>>(&self, f: impl FnOnce()) -> bool {
        K::preempt_disable();
        K::bh_disable();
        let free = self.flushing.swap(1, Acquire) == 0;
        if free {
            f();
            self.flushing.store(0, Release);
        }
        // SAFETY: I2: ends the two calls above.
        unsafe {
            K::bh_enable();
            K::preempt_enable();
        }
        free
    }

    /// Takes back all entries that are idle.
    fn sweep<K: PoolKernel<Pool = Self>>(&self) {
        let count = Span::<K>::COUNT;
        let mut any = false;
        for first in (0..count).step_by(AT_ONCE) {
            self.locked::<K, _>(|lists| {
                let before = lists.stale.length;
                for entry in first..count.min(first + AT_ONCE) {
                    self.take_back::<K>(lists, entry);
                }
                any |= lists.stale.length > before;
                lists.stale.widen_from(before);
                self.tell_available(lists);
            });
        }
        // Somebody may have left an entry to hand it over to those who wait, and have found it taken: then nobody else wakes them.
        if any && !self.front.is_empty() {
            K::wake_one();
        }
    }

    /// Has all CPUs forget what they know of the stale entries, if there are any; they are free then.
    fn flush<K: PoolKernel<Pool = Self>>(&self) {
        let (count, (first, last)) = self.locked::<K, _>(|lists| (lists.stale.length, lists.stale.take_span()));
        if count == 0 {
            return;
        }
        // I8: who flushes from here on finds the entries empty.
        fence(SeqCst);
        K::flush_all_cpus(Span::<K>::address_of(first)..Span::<K>::address_of(last) + PAGE_SIZE);
        self.locked::<K, _>(|lists| {
            // What has become stale meanwhile is behind them.
            lists.stale.move_first(count, &mut lists.free);
            lists.counts.flushes += 1;
        });
    }

    /// The page-table entry.
    fn pte<K: PoolKernel<Pool = Self>>(&self, entry: usize) -> *mut <K::Paging as Paging>::Entry {
        (&raw const self.table).cast_mut().cast::<<K::Paging as Paging>::Entry>().wrapping_add(entry)
    }
}

/// The caller's place in the queue, if it has one; it gives it up when it is dropped.
struct PlaceInQueue<'p, K: PoolKernel<Pool = Pool<N>>, const N: usize> {
    pool: &'p Pool<N>,
    waiter: *mut Waiter,
    taken: bool,
    kernel: PhantomData<K>,
}

impl<K: PoolKernel<Pool = Pool<N>>, const N: usize> PlaceInQueue<'_, K, N> {
    fn take(&mut self) {
        // SAFETY: it is in no queue; it stays where it is until `drop` has taken it out, as the caller of `take` waits for that.
        self.pool.locked::<K, _>(|lists| unsafe {
            lists.queue.push(&self.pool.front, self.waiter);
            self.pool.tell_available(lists);
        });
        self.taken = true;
    }
}

impl<K: PoolKernel<Pool = Pool<N>>, const N: usize> Drop for PlaceInQueue<'_, K, N> {
    fn drop(&mut self) {
        if self.taken {
            // SAFETY: `take` has put it there.
            self.pool.locked::<K, _>(|lists| unsafe { lists.queue.remove(&self.pool.front, self.waiter) });
            // There may be enough for the next one.
            if !self.pool.front.is_empty() {
                K::wake_one();
            }
        }
    }
}
