//! Waiting for something to become so.
//!
//! The mistake is as old as sleeping: a thread looks, finds that it has to wait, and goes to sleep; in between, what it waits for happens, and
//! who has done it finds nobody to wake. So a thread enters the queue first, then looks, and then sleeps only if nobody has woken it since
//! it entered.
//!
//! Who waits longest is woken first. A thread that is woken too early, because another was quicker, goes back to the head of the
//! queue.

use alloc::collections::VecDeque;

use crate::kmap::Task;
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
    waiters: IrqLock<VecDeque<sched::Id>>,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { waiters: IrqLock::new(VecDeque::new()) }
    }

    /// Sleeps until `condition` gives true, which it is asked at once, and after each wake-up. It may take what it finds.
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn wait(&self, _task: &mut Task<'_>, mut condition: impl FnMut() -> bool) {
        let mut woken = false;
        loop {
            let own = sched::get_drowsy();
            self.waiters.with(|waiters| match waiters.contains(&own) {
                true => {}
                false if woken => waiters.push_front(own),
                false => waiters.push_back(own),
            });
            if condition() {
                self.leave(own);
                return;
            }
            sched::sleep();
            woken = true;
        }
    }

    /// Takes a thread out that need not wait. If somebody has just woken it, that was meant for one that does.
    fn leave(&self, own: sched::Id) {
        let was_there = self.waiters.with(|waiters| {
            let at = waiters.iter().position(|&id| id == own);
            at.map(|at| waiters.remove(at)).is_some()
        });
        if !was_there {
            self.wake_one();
        }
    }

    /// Wakes the thread that waits longest, if one does. To be called when what it waits for is so; anywhere but in an NMI.
    pub fn wake_one(&self) {
        self.waiters.with(|waiters| {
            if let Some(id) = waiters.pop_front() {
                sched::wake(id);
            }
        });
    }

    /// Wakes all threads that wait. To be called when what they wait for is so; anywhere but in an NMI.
    pub fn wake_all(&self) {
        self.waiters.with(|waiters| waiters.drain(..).for_each(sched::wake));
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
