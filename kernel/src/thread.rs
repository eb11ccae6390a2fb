//! Threads. Each has a stack of its own and a [`Task`], and runs on whatever CPU is free, unless it is bound to one.
//!
//! Whatever sleeps takes the thread's `&mut Task`, or at least its `&mut MaySleepHere`, and so cannot be called under an atomic mapping (I7).
//!
//! ```ignore
//! let sum = thread::spawn("sum", move |_| numbers.iter().sum::<u64>());
//! println!("{}", sum.join(task));
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use crate::kmap::{MaySleepHere, Task};
pub use crate::sched::MAX;
use crate::sync::IrqLock;
use crate::{boot, sched, timer};

/// A thread that may be waited for. Dropped, it lets the thread run on.
#[must_use = "nobody can wait for the thread any more"]
pub struct JoinHandle<T> {
    thread: (sched::Id, u64),
    result: Arc<IrqLock<Option<T>>>,
}

/// Starts a thread that runs `f`, on any CPU.
///
/// # Panics
///
/// If there are [`MAX`] threads already.
pub fn spawn<T: Send + 'static>(
    name: &'static str,
    f: impl FnOnce(&mut Task<'_>) -> T + Send + 'static,
) -> JoinHandle<T> {
    start(name, None, f)
}

/// As [`spawn`]; `None` if there are [`MAX`] threads already.
pub fn try_spawn<T: Send + 'static>(
    name: &'static str,
    f: impl FnOnce(&mut Task<'_>) -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    let (body, result) = with_result(f);
    sched::try_spawn(name, None, body).map(|thread| JoinHandle { thread, result })
}

/// Starts a thread that runs `f`, on this CPU and on no other.
///
/// # Panics
///
/// If there are [`MAX`] threads already, or there is no such CPU.
pub fn spawn_on<T: Send + 'static>(
    cpu: usize,
    name: &'static str,
    f: impl FnOnce(&mut Task<'_>) -> T + Send + 'static,
) -> JoinHandle<T> {
    start(name, Some(cpu), f)
}

fn start<T: Send + 'static>(
    name: &'static str,
    bound: Option<usize>,
    f: impl FnOnce(&mut Task<'_>) -> T + Send + 'static,
) -> JoinHandle<T> {
    let (body, result) = with_result(f);
    JoinHandle { thread: sched::spawn(name, bound, body), result }
}

/// What the thread is to do, and where it puts what `f` returns.
fn with_result<T: Send + 'static>(
    f: impl FnOnce(&mut Task<'_>) -> T + Send + 'static,
) -> (sched::Body, Arc<IrqLock<Option<T>>>) {
    let result = Arc::new(IrqLock::new(None));
    let slot = Arc::clone(&result);
    let body = move |task: &mut Task<'_>| {
        let value = f(task);
        slot.with(|slot| *slot = Some(value));
    };
    (Box::new(body), result)
}

impl<T> JoinHandle<T> {
    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        sched::has_ended(self.thread)
    }

    /// Sleeps until the thread has ended, and gives what it returned.
    ///
    /// # Panics
    ///
    /// If a context was forgotten, so that this thread must not sleep.
    #[track_caller]
    pub fn join(self, _task: &mut MaySleepHere<'_>) -> T {
        sched::join(self.thread);
        self.result.with(Option::take).expect("a thread that has ended has returned something")
    }
}

/// Sleeps for so long, or somewhat longer.
///
/// # Panics
///
/// As [`JoinHandle::join`].
#[track_caller]
pub fn sleep(_task: &mut MaySleepHere<'_>, time: Duration) {
    // The time since the last tick does not count.
    sched::sleep_until(timer::uptime() + timer::period() + time);
}

/// Lets other threads run that are ready.
///
/// # Panics
///
/// As [`JoinHandle::join`].
#[track_caller]
pub fn yield_now(_task: &mut MaySleepHere<'_>) {
    sched::yield_now();
}

/// How often a CPU has gone from one thread to another so far.
pub fn switches() -> u64 {
    sched::SWITCHES.load(Relaxed)
}

/// The addresses of this thread's stack. The page below is never mapped.
pub fn stack() -> Range<usize> {
    let top = sched::stack_top();
    top - boot::STACK_SIZE..top
}
