//! Who may map pages in the pool, and who may wait for that.

use crate::context::{Atomic, AtomicDeeper, BhOff, MaySleep, MaySleepHere, Softirq, SoftirqDeeper, Task};
use crate::kernel::Kernel;

/// A context that may wait for an entry of the pool: a [`Task`] that holds none. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot wait for an entry of the kmap pool",
    label = "expected `&mut Task`",
    note = "a task that holds a mapping of the pool must not wait for another: take all pages at once, with `kmap_all` or `kmap_pair`",
    note = "where nothing may sleep, map by `try_kmap`, or by `kmap_atomic` in a slot"
)]
pub trait MayWait<'e, K>: sealed::Context {
    #[doc(hidden)]
    fn task(&mut self) -> &mut Task<'e, K>;
}

impl<'e, K: Kernel> MayWait<'e, K> for Task<'e, K> {
    #[inline]
    fn task(&mut self) -> &mut Self {
        self
    }
}

/// A context in which other CPUs can be asked to flush: interrupts are on. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot map pages in the kmap pool",
    label = "expected a task, or a context with interrupts on",
    note = "the pool has other CPUs flush, and cannot wait for that with interrupts off: map by `kmap_atomic` in a slot"
)]
pub trait InterruptsOn<K>: sealed::Context {
    /// What the context is while it holds a mapping: itself, but a [`Task`] is [`MaySleep`].
    type Rest;

    #[doc(hidden)]
    fn rest(&mut self) -> &mut Self::Rest;
}

macro_rules! interrupts_on {
    ($($context:ident as $rest:ident)*) => {$(
        impl<'e, K: Kernel> InterruptsOn<K> for $context<'e, K> {
            type Rest = $rest<'e, K>;

            #[inline]
            fn rest(&mut self) -> &mut $rest<'e, K> {
                self
            }
        }
        impl<K: Kernel> sealed::Context for $context<'_, K> {}
    )*};
}

interrupts_on! {
    Task as MaySleep
    MaySleep as MaySleep
    MaySleepHere as MaySleepHere
    Atomic as Atomic
    AtomicDeeper as AtomicDeeper
    BhOff as BhOff
    Softirq as Softirq
    SoftirqDeeper as SoftirqDeeper
}

mod sealed {
    pub trait Context {}
}
