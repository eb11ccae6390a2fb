//! What the pool does with its entries: it finds one, fills one, and takes back the idle ones.

use core::marker::PhantomData;
use core::mem;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

use super::entries::{Entry, Left, Miss, Wanted};
use super::queue::Waiter;
use super::{Lists, Pool, PoolStats, Refusal, Span};
use crate::context::MaySleep;
use crate::debug;
use crate::kernel::PoolKernel;
use crate::machine::Machine;
use crate::paging::{MemoryType, PAGE_SIZE, Paging, Protection};
use crate::sync::fence;

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
        if let Some(number) = self.index.first_candidate(wanted.pfn)
            && let Some(entry) = self.entries.get(number)
        {
            match entry.hold(wanted) {
                Ok(()) => return Ok(Span::<K>::address_of(number)),
                Err(Miss::Moved) => self.leave::<K>(number),
                Err(Miss::Other | Miss::Full) => {}
            }
        }
        self.take_one::<K>(wanted, waiting)
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
        let mut waiter = Waiter::new();
        let mut place = PlaceInQueue::<K, N> { pool: self, waiter: &raw mut waiter, taken: false, kernel: PhantomData };
        let me = place.waiter.addr();
        loop {
            // Entries that can be had are for the first in the queue, if there is one.
            let my_turn = || self.front.is_empty() || self.front.is_first(me);
            let attempt = self.locked::<K, _>(|lists| self.attempt::<K>(lists, wanted, addresses, my_turn()));
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
            let first = my_turn();
            if first && self.reclaim::<K>(missing) {
                continue;
            }
            let Some(task) = waiting.as_deref_mut() else { return Err(Refusal::Exhausted) };
            if !place.taken {
                // Whoever leaves an entry from here on hands it over; the next attempt finds what was left before.
                place.take();
                continue;
            }
            // Who has become the first has not yet looked for entries that were idle before anybody waited.
            let enough = || self.front.is_first(me) && (!first || self.available.load(SeqCst) as usize >= missing);
            let since = K::now();
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

    /// As [`find_or_take`](Work::find_or_take), for a page that is not where most are.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn take_one<K: PoolKernel<Pool = Self>>(
        &self,
        wanted: Wanted,
        waiting: Option<&mut MaySleep<'_, K>>,
    ) -> Result<usize, Refusal> {
        if let Some(address) = self.find::<K>(wanted)? {
            return Ok(address);
        }
        // Most often there is a free entry, and it takes nothing but filling it.
        let entry = self.locked::<K, _>(|lists| {
            let is_ours = self.front.is_empty() && self.started.load(Relaxed) != 0 && !self.is_mapped(wanted);
            let entry = if is_ours { lists.free.pop()? } else { return None };
            self.fill::<K>(lists, entry, wanted);
            Some(entry)
        });
        if let Some(entry) = entry {
            debug::check_interrupts_on::<K>();
            return Ok(Span::<K>::address_of(entry));
        }
        let mut address = [0];
        self.take::<K>(&[Some(wanted)], &mut address, waiting)?;
        Ok(address[0])
    }

    /// Runs `f` under the lock, with interrupts off.
    pub(super) fn locked<K: PoolKernel, R>(&self, f: impl FnOnce(&mut Lists<N>) -> R) -> R {
        let were_on = K::irq_save();
        let mut lists = loop {
            match self.lists.try_lock() {
                Some(lists) => break lists,
                None => K::relax(),
            }
        };
        let result = f(&mut lists);
        drop(lists);
        // SAFETY: I1: ends the `irq_save` above.
        unsafe { K::irq_restore(were_on) };
        result
    }

    /// Becomes a user of all that is wanted, with entries of the free list if it may take them. Under the lock.
    fn attempt<K: PoolKernel<Pool = Self>>(
        &self,
        lists: &mut Lists<N>,
        wanted: &[Option<Wanted>],
        addresses: &mut [usize],
        may_take: bool,
    ) -> Attempt {
        // Nothing is filled in vain; but an entry that is idle now may be taken back at any moment.
        let missing = if wanted.len() > 1 { self.missing(wanted) } else { 0 };
        if missing > 0 && (!may_take || lists.free.length < missing) {
            return Attempt::Short { missing, held: 0 };
        }
        let mut filled = 0;
        for (held, (page, address)) in wanted.iter().zip(addresses).enumerate() {
            let Some(page) = *page else { continue };
            // Entries get other pages under the lock only.
            let found = match self.hold(page, |_| ()) {
                Ok(found) => found,
                Err(why) => return Attempt::Refused { why, held },
            };
            let free = || if may_take { lists.free.pop() } else { None };
            let Some(entry) = found.or_else(free) else {
                return Attempt::Short { missing: filled + self.missing(&wanted[held..]).max(1), held };
            };
            if found.is_none() {
                self.fill::<K>(lists, entry, page);
                filled += 1;
            }
            *address = Span::<K>::address_of(entry);
        }
        Attempt::Done
    }

    /// How many entries it takes to map what of this is not mapped. Under the lock.
    fn missing(&self, wanted: &[Option<Wanted>]) -> usize {
        let is_missing = |&at: &usize| {
            let page = wanted[at];
            page.is_some_and(|page| !self.is_mapped(page)) && !wanted[..at].contains(&page)
        };
        (0..wanted.len()).filter(is_missing).count()
    }

    /// Whether there is an entry for this. Under the lock.
    fn is_mapped(&self, wanted: Wanted) -> bool {
        self.index.candidates(wanted.pfn).any(|entry| {
            let entry = &self.entries[entry];
            entry.pfn() == wanted.pfn && entry.users().is_some_and(|(_, writable)| writable == wanted.writable)
        })
    }

    /// Maps what is wanted in a free entry, with the caller as its user. Under the lock.
    pub(super) fn fill<K: PoolKernel<Pool = Self>>(&self, lists: &mut Lists<N>, entry: usize, wanted: Wanted) {
        self.available.fetch_sub(1, SeqCst);
        lists.counts.remaps += 1;
        let protection = Protection {
            writable: wanted.writable,
            no_execute: K::no_execute(),
            cache: const { K::PAT.index_of(MemoryType::WriteBack) },
            global: K::TRANSLATIONS.are_global(),
        };
        // SAFETY: I8: the entry came out of the free list, so it is empty, no CPU remembers anything of it, and it is the caller's.
        unsafe { K::Paging::set::<K::Machine>(self.pte::<K>(entry), K::Paging::entry(wanted.pfn, protection)) };
        // I10: no access to the page moves up across the store that makes it accessible.
        K::Machine::barrier();
        self.entries[entry].fill(wanted);
        self.index.insert(wanted.pfn, entry);
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
            let taken = self.take_back::<K>(entry);
            if taken {
                self.retire(lists, entry);
            }
            taken
        });
        if taken {
            K::wake_one();
        }
    }

    /// Takes an entry if it is idle, and unmaps its page. CPUs may remember it until they have flushed.
    fn take_back<K: PoolKernel<Pool = Self>>(&self, entry: usize) -> bool {
        let taken = self.entries[entry].take_idle();
        if taken {
            // I10: no access to the page moves down across the store that makes it inaccessible.
            K::Machine::barrier();
            // SAFETY: I8: from idle to nothing, the entry is this caller's. I4: nobody uses an address of an idle entry.
            unsafe { K::Paging::clear::<K::Machine>(self.pte::<K>(entry)) };
        }
        taken
    }

    /// Puts an entry that was taken back among the stale ones.
    fn retire(&self, lists: &mut Lists<N>, entry: usize) {
        self.index.remove(self.entries[entry].pfn(), entry, |other| self.entries[other].pfn());
        lists.stale.push(entry);
        self.available.fetch_add(1, SeqCst);
    }

    /// Tries to make so many entries free, and says whether there may be so many now.
    fn reclaim<K: PoolKernel<Pool = Self>>(&self, missing: usize) -> bool {
        let done = self.alone::<K>(|| {
            if self.locked::<K, _>(|lists| lists.free.length + lists.stale.length) < missing {
                self.sweep::<K>();
            }
            self.flush::<K>();
        });
        if !done {
            // Somebody else is at it.
            K::relax();
            return true;
        }
        self.locked::<K, _>(|lists| lists.free.length) >= missing
    }

    /// Runs `f` as the only one who flushes; `false` if somebody else does so now.
    ///
    /// It cannot be preempted, nor run a softirq, so nobody on this CPU waits for its end.
    fn alone<K: PoolKernel<Pool = Self>>(&self, f: impl FnOnce()) -> bool {
        K::preempt_disable();
        K::bh_disable();
        let free = self.locked::<K, _>(|lists| !mem::replace(&mut lists.flushing, true));
        if free {
            f();
            self.locked::<K, _>(|lists| lists.flushing = false);
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
        for first in (0..count).step_by(AT_ONCE) {
            let mut taken = [false; AT_ONCE];
            let mut any = false;
            for (entry, taken) in (first..count).zip(&mut taken) {
                *taken = self.take_back::<K>(entry);
                any |= *taken;
            }
            if any {
                self.locked::<K, _>(|lists| {
                    let entries = (first..count).zip(taken).filter(|&(_, taken)| taken);
                    entries.for_each(|(entry, _)| self.retire(lists, entry));
                });
                // Somebody may have left one to hand it over to those who wait, and have found it taken.
                if !self.front.is_empty() {
                    K::wake_one();
                }
            }
        }
    }

    /// Has all CPUs forget what they know of the stale entries, if there are any; they are free then.
    fn flush<K: PoolKernel<Pool = Self>>(&self) {
        let entries = self.locked::<K, _>(|lists| {
            mem::swap(&mut lists.stale, &mut lists.batch);
            let entries = || lists.batch.iter();
            entries().min().zip(entries().max())
        });
        let Some((first, last)) = entries else { return };
        // I8: who flushes from here on finds the entries empty.
        fence(SeqCst);
        K::flush_all_cpus(Span::<K>::address_of(first)..Span::<K>::address_of(last) + PAGE_SIZE);
        self.locked::<K, _>(|lists| {
            if lists.free.length == 0 {
                mem::swap(&mut lists.free, &mut lists.batch);
            }
            while let Some(entry) = lists.batch.pop() {
                lists.free.push(entry);
            }
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
        self.pool.locked::<K, _>(|lists| unsafe { lists.queue.push(&self.pool.front, self.waiter) });
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
