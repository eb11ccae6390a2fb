//! Who waits for entries, in the order in which they came.
//!
//! The first in the queue alone may take entries that become free, until it has all that it needs: so a wait for several entries comes to
//! its end as well as one for one, and nobody starves. Others may take what is left when all who wait have what they need. Without that,
//! a queue that is once there would stay: threads that come back before it is empty would stand in it again, each time, asleep beside a
//! pool full of free entries.
//!
//! A [`Waiter`] lies on the stack of the thread that waits. It is linked in and out under the lock; without the lock there is one
//! question, which is the first.

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;

use crate::sync::{AtomicU32, AtomicUsize};

/// One who waits.
pub(crate) struct Waiter {
    /// Whoever came next.
    next: *mut Waiter,
    /// How much it waits for.
    needs: usize,
}

impl Waiter {
    pub(crate) const fn needs(needs: usize) -> Self {
        Self { next: ptr::null_mut(), needs }
    }
}

/// The queue, under the lock.
pub(crate) struct Queue {
    first: *mut Waiter,
    /// What all who wait need, together.
    needs: usize,
}

// SAFETY: the pointers are followed under the lock alone, by any CPU.
unsafe impl Send for Queue {}

impl Queue {
    pub(crate) const EMPTY: Self = Self { first: ptr::null_mut(), needs: 0 };

    /// Puts `waiter` last.
    ///
    /// # Safety
    /// It is in no queue, and stays where it is, touched by nobody else, until it is [removed](Self::remove).
    pub(crate) unsafe fn push(&mut self, front: &Front, waiter: *mut Waiter) {
        let mut link = &raw mut self.first;
        // SAFETY: each pointer of the queue is null or points to a waiter, which stays there until it is removed; the caller has the lock.
        unsafe {
            while !(*link).is_null() {
                link = &raw mut (**link).next;
            }
            (*waiter).next = ptr::null_mut();
            *link = waiter;
            self.needs += (*waiter).needs;
        }
        front.length.fetch_add(1, SeqCst);
        front.first.store(self.first.addr(), SeqCst);
    }

    /// Takes `waiter` out, wherever it is.
    ///
    /// # Safety
    /// It is in this queue.
    pub(crate) unsafe fn remove(&mut self, front: &Front, waiter: *mut Waiter) {
        let mut link = &raw mut self.first;
        // SAFETY: as in `push`; the waiter is in the queue, so it is found before the end.
        unsafe {
            while *link != waiter {
                link = &raw mut (**link).next;
            }
            *link = (*waiter).next;
            self.needs -= (*waiter).needs;
        }
        front.length.fetch_sub(1, SeqCst);
        front.first.store(self.first.addr(), SeqCst);
    }

    /// What all who wait need, together.
    #[inline]
    pub(crate) fn needs(&self) -> usize {
        self.needs
    }
}

/// What is known of the queue without the lock.
pub(crate) struct Front {
    first: AtomicUsize,
    length: AtomicU32,
}

impl Front {
    pub(crate) const fn empty() -> Self {
        Self { first: AtomicUsize::new(0), length: AtomicU32::new(0) }
    }

    /// Whether nobody waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(SeqCst) == 0
    }

    /// Whether the waiter at this address is the first.
    pub(crate) fn is_first(&self, waiter: usize) -> bool {
        self.first.load(SeqCst) == waiter
    }
}
