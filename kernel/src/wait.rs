//! Waiting for something to become so.
//!
//! The mistake is as old as sleeping: a thread looks, finds that it has to wait, and goes to sleep; in between, what it waits for happens,
//! and who has done it finds nobody to wake. So a thread enters the queue first, then looks, and then sleeps only if nobody has woken
//! it since it entered.
//!
//! Who has waited longest is woken first. A thread that is woken and still has to wait, because another was quicker, has its old place.
//!
//! Where each thread waits for something of its own, the one that has waited longest may be the wrong one. So a thread can leave what it
//! waits for in the queue, for others to ask ([`WaitQueue::wait_asked`]): whoever wakes passes over those whose answer is no.

use alloc::collections::VecDeque;
use core::mem;
use core::time::Duration;

use crate::kmap::{MaySleep, MaySleepHere};
use crate::sync::IrqLock;
use crate::{sched, timer};

/// The threads that wait for one thing.
///
/// ```ignore
/// static QUEUE: WaitQueue = WaitQueue::new();
///
/// QUEUE.wait(task, || READY.load(Acquire)); // one thread
/// READY.store(true, Release);               // another, or an interrupt handler
/// QUEUE.wake_one();
/// ```
pub struct WaitQueue {
    waiters: IrqLock<Waiters>,
}

/// What a thread waits for, as others may ask it: on any CPU, with the queue locked and interrupts off.
type Asked = &'static (dyn Fn() -> bool + Sync);

/// Who waits, in the order in which they came.
struct Waiters {
    tickets: u64,
    queue: VecDeque<Waiter>,
}

struct Waiter {
    /// Its place.
    ticket: u64,
    id: sched::Id,
    /// Borrowed from the thread's stack, which it is for as long as the waiter is in the queue. Asked with the queue locked.
    condition: Option<Asked>,
}

impl Waiter {
    /// Whether a wake-up is for this thread.
    fn is_meant(&self) -> bool {
        self.condition.is_none_or(|condition| condition())
    }
}

impl Waiters {
    /// Where the holder of a ticket stands, or where it would.
    fn place(&self, ticket: u64) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket)
    }
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { waiters: IrqLock::new(Waiters { tickets: 0, queue: VecDeque::new() }) }
    }

    /// Sleeps until `condition` gives true, which it is asked at once, and after each wake-up. It may take what it finds.
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn wait(&self, _thread: &mut MaySleepHere<'_>, mut condition: impl FnMut() -> bool) {
        // SAFETY: nothing is left in the queue for others to ask.
        unsafe { self.wait_until(&mut condition, None, None) };
    }

    /// As [`wait`](Self::wait), but no longer than until the machine [has run](timer::uptime) for so long; says whether `condition` gave true.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    #[must_use = "the time may have ended"]
    pub fn wait_to(
        &self,
        _thread: &mut MaySleepHere<'_>,
        deadline: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> bool {
        // SAFETY: nothing is left in the queue for others to ask.
        unsafe { self.wait_until(&mut condition, None, Some(deadline)) }
    }

    /// As [`wait`](Self::wait), with a condition that others may ask: [`wake_one`](Self::wake_one) passes this thread over while it gives
    /// false. It takes no lock under which somebody wakes, and does not sleep.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_asked(&self, _thread: &mut MaySleep<'_>, condition: &(dyn Fn() -> bool + Sync)) {
        // SAFETY: only the lifetime changes. The borrow lasts longer than this function, and nobody asks after its end: `wait_until` takes
        // the condition out of the queue, under the lock under which it is asked.
        unsafe {
            let asked = mem::transmute::<&(dyn Fn() -> bool + Sync), Asked>(condition);
            self.wait_until(&mut || condition(), Some(asked), None);
        }
    }

    /// Sleeps until `condition` gives true, or to the deadline; others may ask `asked` meanwhile. Says whether it gave true.
    ///
    /// # Safety
    ///
    /// `asked` can be asked until this function returns, on any CPU. (It does not unwind: a panic is the end of the machine.)
    #[track_caller]
    unsafe fn wait_until(
        &self,
        condition: &mut dyn FnMut() -> bool,
        asked: Option<Asked>,
        deadline: Option<Duration>,
    ) -> bool {
        let ticket = self.waiters.with(|waiters| {
            waiters.tickets += 1;
            waiters.tickets
        });
        loop {
            let id = sched::get_drowsy();
            self.waiters.with(|waiters| {
                if let Err(place) = waiters.place(ticket) {
                    waiters.queue.insert(place, Waiter { ticket, id, condition: asked });
                }
            });
            let so = condition();
            if so || deadline.is_some_and(|deadline| deadline <= timer::uptime()) {
                self.leave(ticket);
                return so;
            }
            sched::sleep(deadline);
        }
    }

    /// Takes a thread out that no longer waits. If somebody has just woken it, that was meant for one that does.
    fn leave(&self, ticket: u64) {
        let was_there =
            self.waiters.with(|waiters| waiters.place(ticket).map(|place| waiters.queue.remove(place)).is_ok());
        if !was_there {
            self.wake_one();
        }
    }

    /// Wakes the thread that has waited longest, if one waits, of those for which what they wait for is so; whoever cannot be asked counts
    /// as one of them. To be called when it is so; anywhere but in an NMI.
    pub fn wake_one(&self) {
        self.waiters.with(|waiters| {
            let meant = waiters.queue.iter().position(Waiter::is_meant);
            if let Some(waiter) = meant.and_then(|place| waiters.queue.remove(place)) {
                sched::wake(waiter.id);
            }
        });
    }

    /// Wakes all threads that wait. To be called when what they wait for is so; anywhere but in an NMI.
    pub fn wake_all(&self) {
        self.waiters.with(|waiters| waiters.queue.drain(..).for_each(|waiter| sched::wake(waiter.id)));
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
