//! A request between the thread that waits for it and the driver that ends it.
//!
//! A request can end in its interrupt, or because it takes too long; in C both may find it, and both give its pages back.
//!
//! So its memory is in one place, and it is told of its end by whoever has taken the request from the device: once, with the device
//! stopped.
//!
//! [`AnyJob::end`] is `unsafe`, for that says so, and has the token of `BounceRead`, which only exists with interrupts off.

use alloc::sync::Arc;
use core::time::Duration;

use highmem::linux::BounceRead;

use super::{DmaMemory, Error};
use crate::kmap::{MaySleep, Slot};
use crate::sync::IrqLock;
use crate::wait::WaitQueue;

/// What becomes of the memory when the device is done: [`DmaMemory::end`].
type AtEnd<M> = unsafe fn(&mut M, Slot<'_, BounceRead>, Result<(), Error>);

/// Somebody's request, and where they wait for its end.
pub(crate) struct Job<M> {
    memory: IrqLock<Option<M>>,
    at_end: AtEnd<M>,
    result: IrqLock<Option<Result<(), Error>>>,
    ended: WaitQueue,
}

impl<M> Job<M> {
    /// A request for memory that the processor copies.
    pub fn pio(memory: M) -> Arc<Self> {
        Self::new(memory, |_, _, _| {})
    }

    fn new(memory: M, at_end: AtEnd<M>) -> Arc<Self> {
        let memory = IrqLock::new(Some(memory));
        Arc::new(Self { memory, at_end, result: IrqLock::new(None), ended: WaitQueue::new() })
    }

    /// Sleeps until the request has ended, but not past the deadline; says how it ended.
    #[track_caller]
    pub fn wait_to(&self, task: &mut MaySleep<'_>, deadline: Duration) -> Option<Result<(), Error>> {
        let ended = self.ended.wait_to(task, deadline, || self.result.with(|result| result.is_some()));
        ended.then(|| self.result.with(|result| *result)).flatten()
    }

    /// Takes the memory of a request that has ended, or did not begin.
    pub fn take_memory(&self) -> M {
        self.memory.with(Option::take).expect("the memory of a request is taken once")
    }

    /// Has `f` at the memory of a request that has not ended.
    pub fn with_memory<R>(&self, f: impl FnOnce(&mut M) -> R) -> R {
        self.memory.with(|memory| f(memory.as_mut().expect("a request has its memory")))
    }
}

impl<M: DmaMemory> Job<M> {
    /// A request for memory that the device accesses.
    pub fn dma(memory: M) -> Arc<Self> {
        Self::new(memory, M::end)
    }
}

/// A request, whatever memory it has.
pub(crate) trait AnyJob: Send + Sync {
    /// How the request has ended.
    ///
    /// # Safety
    ///
    /// Called once. The device does not access the memory from now on.
    unsafe fn end(&self, slot: Slot<'_, BounceRead>, result: Result<(), Error>);
}

impl<M: Send> AnyJob for Job<M> {
    unsafe fn end(&self, slot: Slot<'_, BounceRead>, result: Result<(), Error>) {
        // SAFETY: by this function's contract.
        self.with_memory(|memory| unsafe { (self.at_end)(memory, slot, result) });
        self.result.with(|slot| *slot = Some(result));
        self.ended.wake_all();
    }
}

/// Runs `f` in a thread, where requests end for which no interrupt has come.
pub(crate) fn end_in_thread<R>(task: &mut MaySleep<'_>, f: impl FnOnce(Slot<'_, BounceRead>) -> R) -> R {
    let mut atomic = task.atomic();
    let mut irqs_off = atomic.irqs_off();
    f(irqs_off.slots().bounce_read)
}
