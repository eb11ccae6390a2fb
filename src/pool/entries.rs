//! The entries of the pool: what each maps, and who uses it.
//!
//! An entry's state is one word, so that whoever takes or leaves it needs no lock:
//!
//! | state | who may change it | Linux's `pkmap_count` |
//! |---|---|---|
//! | 0: free, or on its way to be | whoever took it out of a list, under the lock | 0 |
//! | 1: idle: mapped, of no use at the moment | anybody: up to use it, or down to 0 to take it | 1 |
//! | 1 + n: n users | anybody: up to use it; a user down by one | 1 + n |
//!
//! The page of an entry changes only in state 0. So whoever has brought the state up from 1 or more, and then sees the page that it
//! wants, has that page, until it brings the state down again.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use crate::sync::{AtomicU16, AtomicU32, AtomicUsize};

/// What is mapped in an entry, or is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The number of the frame.
    pub pfn: usize,
    /// Whether the mapping lets writes through. A page that is mapped both ways has two entries (I6).
    pub writable: bool,
}

impl Wanted {
    /// The bit of the state that says what kind of mapping it is.
    #[inline]
    fn kind(self) -> u32 {
        if self.writable { WRITABLE } else { 0 }
    }
}

/// One entry of the pool.
#[repr(align(16))]
pub(super) struct Entry {
    /// The number of the frame.
    pfn: AtomicUsize,
    /// The state, and [`WRITABLE`].
    state: AtomicU32,
    /// How often it was taken while it was mapped. Two CPUs that count at the same moment may count one.
    hits: AtomicU32,
    /// Its place in the index, while it maps anything. Under the lock.
    place: AtomicU16,
}

const WRITABLE: u32 = 1 << 31;
const COUNT: u32 = WRITABLE - 1;
const IDLE: u32 = 1;

/// How many can be counted.
#[cfg(test)]
pub(super) const MOST_USERS: u32 = COUNT - IDLE;

/// Why an entry was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Miss {
    /// It maps something else, or nothing.
    Other,
    /// It has as many users as can be counted.
    Full,
    /// It was taken, and is another page's now: the caller has to leave it again.
    Moved,
}

/// How an entry was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// Others use it.
    InUse,
    /// It is idle.
    Idle,
}

impl Entry {
    pub(super) const fn free() -> Self {
        Self { pfn: AtomicUsize::new(0), state: AtomicU32::new(0), hits: AtomicU32::new(0), place: AtomicU16::new(0) }
    }

    /// Becomes one more user of this entry, if it maps what is wanted.
    #[inline]
    pub(super) fn hold(&self, wanted: Wanted) -> Result<(), Miss> {
        let mut state = self.state.load(Relaxed);
        loop {
            if self.pfn.load(Relaxed) != wanted.pfn {
                return Err(Miss::Other);
            }
            // One comparison for all of it: 0 is free, and the other kind of mapping is beyond the count.
            let count = state ^ wanted.kind();
            if count.wrapping_sub(1) >= COUNT - 1 {
                return Err(if count == COUNT { Miss::Full } else { Miss::Other });
            }
            match self.state.compare_exchange_weak(state, state + 1, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(found) => state = found,
            }
        }
        // Between the two looks it may have become another page's, in the same state.
        if self.pfn.load(Relaxed) != wanted.pfn {
            return Err(Miss::Moved);
        }
        self.hits.store(self.hits.load(Relaxed).wrapping_add(1), Relaxed);
        Ok(())
    }

    /// Whether it maps what is wanted.
    #[inline]
    pub(super) fn maps(&self, wanted: Wanted) -> bool {
        let count = self.state.load(Acquire) ^ wanted.kind();
        self.pfn.load(Relaxed) == wanted.pfn && (IDLE..=COUNT).contains(&count)
    }

    /// Ends what [`hold`](Self::hold) or [`fill`](Self::fill) began.
    #[inline]
    pub(super) fn leave(&self) -> Left {
        let before = self.state.fetch_sub(1, SeqCst);
        if before & COUNT == IDLE + 1 { Left::Idle } else { Left::InUse }
    }

    /// Takes the entry if it is idle: from here on nobody else can become its user.
    pub(super) fn take_idle(&self) -> bool {
        let state = self.state.load(SeqCst);
        state & COUNT == IDLE && self.state.compare_exchange(state, 0, SeqCst, Relaxed).is_ok()
    }

    /// Makes the caller the first user of the entry, which is free and the caller's, and maps what is wanted.
    pub(super) fn fill(&self, wanted: Wanted) {
        self.pfn.store(wanted.pfn, Relaxed);
        // Whoever sees this state sees the page, and the page-table entry.
        self.state.store(wanted.kind() | (IDLE + 1), Release);
    }

    /// The frame that it maps, or mapped when it was last filled.
    pub(super) fn pfn(&self) -> usize {
        self.pfn.load(Relaxed)
    }

    /// How many use it, and whether it maps anything; and whether writes get through.
    pub(super) fn users(&self) -> Option<(u32, bool)> {
        let state = self.state.load(Acquire);
        (state & COUNT).checked_sub(IDLE).map(|users| (users, state & WRITABLE != 0))
    }

    #[cfg(test)]
    pub(super) fn set_users(&self, users: u32) {
        let writable = self.state.load(Relaxed) & WRITABLE;
        self.state.store(writable | (IDLE + users), Relaxed);
    }

    /// Its place in the index.
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.place.load(Relaxed).into()
    }

    #[inline]
    pub(super) fn set_place(&self, place: usize) {
        self.place.store(place as u16, Relaxed);
    }

    pub(super) fn hits(&self) -> u32 {
        self.hits.load(Relaxed)
    }
}
