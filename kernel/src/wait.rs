//! Waiting for something to become so.
//!
//! The mistake is as old as sleeping: a thread looks, finds that it has to wait, and goes to sleep; in between, what it waits for happens,
//! and who has done it finds nobody to wake. So a thread enters the queue first, then looks, and then sleeps only if nobody has woken
//! it since it entered.
//!
//! Who has waited longest is woken first. A thread that is woken and still has to wait, because another was quicker, has its old place.

use alloc::collections::VecDeque;

use crate::kmap::MaySleep;
use crate::sched;
use crate::sync::IrqLock;

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

/// Who waits, in the order in which they came. Each has a ticket, which is its place.
struct Waiters {
    tickets: u64,
    queue: VecDeque<(u64, sched::Id)>,
}

impl Waiters {
    /// Where the holder of a ticket stands, or where it would.
    fn place(&self, ticket: u64) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&ticket, |&(ticket, _)| ticket)
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
    pub fn wait(&self, _thread: &mut MaySleep<'_>, mut condition: impl FnMut() -> bool) {
        let ticket = self.waiters.with(|waiters| {
            waiters.tickets += 1;
            waiters.tickets
        });
        loop {
            let own = sched::get_drowsy();
            self.waiters.with(|waiters| {
                if let Err(place) = waiters.place(ticket) {
                    waiters.queue.insert(place, (ticket, own));
                }
            });
            if condition() {
                return self.leave(ticket);
            }
            sched::sleep();
        }
    }

    /// Takes a thread out that need not wait. If somebody has just woken it, that was meant for one that does.
    fn leave(&self, ticket: u64) {
        let was_there =
            self.waiters.with(|waiters| waiters.place(ticket).map(|place| waiters.queue.remove(place)).is_ok());
        if !was_there {
            self.wake_one();
        }
    }

    /// Wakes the thread that has waited longest, if one waits. To be called when what it waits for is so; anywhere but in an NMI.
    pub fn wake_one(&self) {
        self.waiters.with(|waiters| {
            if let Some((_, id)) = waiters.queue.pop_front() {
                sched::wake(id);
            }
        });
    }

    /// Wakes all threads that wait. To be called when what they wait for is so; anywhere but in an NMI.
    pub fn wake_all(&self) {
        self.waiters.with(|waiters| waiters.queue.drain(..).for_each(|(_, id)| sched::wake(id)));
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
