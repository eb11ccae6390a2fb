//! Contexts: who may use which slots, and for how long.
//!
//! In C nothing ties a slot to the place that may use it. An interrupt handler that uses `KM_USER0` overwrites the mapping
//! of the task it interrupted; a task that uses `KM_IRQ0` with interrupts on is overwritten by the handler; whoever sleeps
//! under a mapping gives the slot to the next task.
//!
//! The rule (I1, I2, I7, I11): a slot may be used only where nobody else on this CPU can come in between, and this CPU
//! cannot change, until the mapping is gone. What makes that so differs from slot to slot: preemption off, softirqs off,
//! interrupts off.
//!
//! The types say it. A [`Task`] may sleep and has no slots (nor has a [`MaySleep`], which is a task that holds a mapping of the
//! [pool](crate::pool), nor a [`MaySleepHere`], which is one that may have [local maps](crate::local)). It goes on, by exclusive borrow, to [`Atomic`] (it cannot be
//! preempted), and that to [`BhOff`] (no softirqs) and [`IrqsOff`] (no interrupts); each adds the tokens that it makes
//! exclusive. [`HardIrq`], [`Softirq`] and [`Nmi`] come from the kernel's entry code.
//!
//! ```text
//!              slots              goes on to
//! Task         -                  Atomic, Pinned
//! Pinned       (local maps)       Atomic
//! Atomic       atomic             BhOff, IrqsOff
//! BhOff        softirq            IrqsOff
//! Softirq      softirq            IrqsOff
//! IrqsOff      irqsoff            -
//! HardIrq      irqsoff            -
//! Nmi          nmi                -
//! ```
//!
//! Everything that may sleep, wait, fault on user memory, or have another CPU run borrowed code takes `&mut Task` or `&mut MaySleep`, in
//! the kernel as in this crate. Every atomic context holds that borrow, so nothing of this can be called under a mapping. What only
//! sleeps takes `&mut MaySleepHere`, and can be called under local maps.
//!
//! [`Pinned`] and all that have slots have a `local` beside `slots`, if the kernel is a [`LocalKernel`].
//!
//! Forgetting a context (`mem::forget`) leaves preemption or interrupts off. That is a bug, but no slot gets a second owner.
//!
//! # Entry points
//!
//! A kernel brings the first context of a call chain into being where it knows for sure what the processor is doing: at
//! the start of a thread, and in the entry code of interrupts. The `enter` functions take a closure, so that no context
//! outlives the entry it stands for.
//!
//! | context | where | Linux |
//! |---|---|---|
//! | [`Task::enter`] | thread start, system call, fault from user mode | `in_task()` |
//! | [`Softirq::enter`] | around the softirq handlers | `in_serving_softirq()` |
//! | [`HardIrq::enter`] | around an interrupt handler, interrupts off | `in_hardirq()` |
//! | [`Nmi::enter`] | around the NMI handler | `in_nmi()` |

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::debug::{self, Held, Serving};
use crate::kernel::{Kernel, LocalKernel};
use crate::local::sealed::SaveLevels as _;
use crate::local::{InAtomic, InIrq, InNmi, InSoftirq, InTask, Local};
use crate::machine::Machine as _;
use crate::slot::{Group, KmTypes, StaysHere};
use crate::trace;

/// Not `Send`, not `Sync` (I2), no longer than `'cx`.
struct Here<'cx, K> {
    _cpu: StaysHere,
    _context: PhantomData<&'cx mut K>,
}

impl<K> Here<'_, K> {
    const NEW: Self = Self { _cpu: StaysHere::NEW, _context: PhantomData };
}

/// The tokens of kernel `K` in each kind of context.
type AtomicSlots<'cx, K> = <<K as Kernel>::KmTypes as KmTypes>::Atomic<'cx, K>;
type SoftirqSlots<'cx, K> = <<K as Kernel>::KmTypes as KmTypes>::Softirq<'cx, K>;
type IrqsOffSlots<'cx, K> = <<K as Kernel>::KmTypes as KmTypes>::IrqsOff<'cx, K>;
type NmiSlots<'cx, K> = <<K as Kernel>::KmTypes as KmTypes>::Nmi<'cx, K>;

/// A context that begins at an entry point of the kernel, by an `unsafe` promise.
macro_rules! entry_context {
    ($(#[$meta:meta])* $name:ident, serves $serving:ident, slots $group:ident, $(#[$enter_meta:meta])*) => {
        $(#[$meta])*
        pub struct $name<'e, K>(Here<'e, K>);

        impl<K: Kernel> $name<'_, K> {
            $(#[$enter_meta])*
            #[inline]
            pub unsafe fn enter<R>(f: impl FnOnce(&mut $name<'_, K>) -> R) -> R {
                trace::entered::<K>(Serving::$serving);
                let result = f(&mut $name(Here::NEW));
                debug::check_empty::<K>(Group::$group);
                trace::left::<K>(Serving::$serving);
                result
            }
        }
    };
}

entry_context! {
    /// A softirq, or what the kernel has in its place: runs after interrupt handlers, with interrupts on, cannot sleep.
    Softirq, serves SoftirqHandler, slots SoftirqsOff,
    /// Runs `f` as the context of a softirq.
    ///
    /// # Safety
    /// - [ ] The CPU serves a softirq: it cannot be preempted, and no second softirq begins on this CPU before `f` returns.
    /// - [ ] [`Kernel::bh_disable`] keeps softirqs from beginning on this CPU.
    /// - [ ] Interrupts are on: whoever has turned them off may have their slots in use, and a softirq can turn them off as well.
}

entry_context! {
    /// An interrupt handler, with interrupts off.
    HardIrq, serves InterruptHandler, slots InterruptsOff,
    /// Runs `f` as the context of an interrupt handler.
    ///
    /// # Safety
    /// - [ ] The CPU serves an interrupt that can occur only when interrupts are on, and they are off now.
    /// - [ ] Nothing turns them on before `f` returns, except [`HardIrq::with_irqs_on`].
}

entry_context! {
    /// A non-maskable interrupt.
    Nmi, serves NmiHandler, slots InNmi,
    /// Runs `f` as the context of a non-maskable interrupt.
    ///
    /// # Safety
    /// - [ ] The CPU serves an NMI, and no second one begins before `f` returns. (An `iret` in between, from a breakpoint or a
    ///   fault, lets one in: SDM vol. 3, 7.7.1.)
}

/// A thread that may sleep, but not wait for an entry of the [pool](crate::pool): what a task is while it holds a mapping of the pool.
///
/// A function that may sleep, and does not map pages by [`kmap`](crate::kmap()), takes `&mut MaySleep`: then it can be called with a
/// `&mut Task`, which is more, and under mappings of the pool. One that takes `&mut Task` can not.
pub struct MaySleep<'e, K>(MaySleepHere<'e, K>);

impl<K> MaySleep<'_, K> {
    const NEW: Self = Self(MaySleepHere(Here::NEW));
}

impl<K: LocalKernel> MaySleep<'_, K> {
    /// Keeps this thread on its CPU until the returned context is dropped, and so lets it have [local maps](crate::local). It may be
    /// preempted, and sleep. Linux: `migrate_disable()`.
    #[inline]
    pub fn pinned(&mut self) -> Pinned<'_, K> {
        // SAFETY: `LocalKernel::save_area` gives an area that lives as long as this thread.
        unsafe { K::save_area().as_ref() }.pin();
        // I10: no access to an entry moves up across it.
        K::Machine::barrier();
        Pinned(Here::NEW)
    }
}

impl<'e, K> Deref for MaySleep<'e, K> {
    type Target = MaySleepHere<'e, K>;

    #[inline]
    fn deref(&self) -> &MaySleepHere<'e, K> {
        &self.0
    }
}

impl<'e, K> DerefMut for MaySleep<'e, K> {
    #[inline]
    fn deref_mut(&mut self) -> &mut MaySleepHere<'e, K> {
        &mut self.0
    }
}

/// A thread that may sleep, but wakes up on the same CPU: what a task is while it may have [local maps](crate::local).
///
/// A function that only sleeps takes `&mut MaySleepHere`: then it can be called with a `&mut Task` or a `&mut MaySleep`, which are more, and
/// under local maps. One that has borrowed code run by other threads or on other CPUs can not: it takes `&mut MaySleep`.
pub struct MaySleepHere<'e, K>(Here<'e, K>);

impl<K: Kernel> MaySleepHere<'_, K> {
    /// Turns preemption off until the returned context is dropped. Linux: `preempt_disable()`.
    #[inline]
    pub fn atomic(&mut self) -> Atomic<'_, K> {
        K::preempt_disable();
        Atomic(Here::NEW)
    }

    /// Does not compile: for the message that says what to do instead.
    #[doc(hidden)]
    pub fn slots(&mut self) -> AtomicSlots<'_, K>
    where
        Self: CannotBePreempted,
    {
        self.never()
    }
}

/// What a context with slots is, and a task by itself is not. Nothing implements it.
#[diagnostic::on_unimplemented(
    message = "a task that can be preempted has no slots",
    label = "the next task on this CPU would use the same ones",
    note = "turn preemption off first: `let mut atomic = task.atomic();`, and then `atomic.slots()`"
)]
#[doc(hidden)]
pub trait CannotBePreempted {
    #[doc(hidden)]
    fn never(&self) -> !;
}

/// A task that stays on its CPU, where others may run meanwhile: it can have [local maps](crate::local).
#[must_use = "the task may go to another CPU again as soon as the context is dropped"]
pub struct Pinned<'cx, K: LocalKernel>(Here<'cx, K>);

impl<K: LocalKernel> Pinned<'_, K> {
    /// The token of this context's local maps, once, and with it the right to sleep while they are in use.
    #[inline]
    pub fn local(&mut self) -> (Local<'_, K, InTask>, &mut MaySleepHere<'_, K>) {
        // SAFETY: I1: one thread runs on this CPU at a time, the maps of the others being saved; interrupts use other slots; and `self`,
        // of which a thread has one at a time, is borrowed while the token lives.
        let local = unsafe { Local::new() };
        // SAFETY: I2: it takes no memory, and this thread's own is borrowed as long as `self`.
        (local, unsafe { NonNull::dangling().as_mut() })
    }
}

impl<K: LocalKernel> Drop for Pinned<'_, K> {
    #[inline]
    fn drop(&mut self) {
        debug::check_empty::<K>(Group::MigrationOff);
        // I10: no access to an entry moves down across it.
        K::Machine::barrier();
        // SAFETY: as in `pinned`.
        unsafe { K::save_area().as_ref() }.unpin();
    }
}

/// The local maps of a context, for all that have some.
macro_rules! local_maps {
    ($($context:ident: $Level:ident beside $Slots:ident of $slots:ident;)*) => {$(
        impl<K: LocalKernel> $context<'_, K> {
            /// The token of this context's [local maps](crate::local), once, and with it all that `slots` gives.
            #[inline]
            pub fn local(&mut self) -> (Local<'_, K, $Level>, $Slots<'_, K>) {
                // SAFETY: I1: as for `slots`, since nobody else has these slots of local maps.
                unsafe { (Local::new(), K::KmTypes::$slots()) }
            }
        }
    )*};
}

local_maps! {
    Atomic: InAtomic beside AtomicSlots of atomic;
    BhOff: InSoftirq beside SoftirqSlots of softirq;
    Softirq: InSoftirq beside SoftirqSlots of softirq;
    IrqsOff: InIrq beside IrqsOffSlots of irqs_off;
    HardIrq: InIrq beside IrqsOffSlots of irqs_off;
    Nmi: InNmi beside NmiSlots of nmi;
}

/// A thread that may sleep, for an entry of the [pool](crate::pool), too.
///
/// Whatever may sleep takes `&mut Task`, or at least [`&mut MaySleep`](MaySleep), as proof that nothing is mapped atomically.
pub struct Task<'e, K> {
    pub(crate) may_sleep: MaySleep<'e, K>,
    /// The mappings of the pool that this task has made and not ended.
    pub(crate) held: Held,
}

impl<K: Kernel> Task<'_, K> {
    /// Runs `f` as the task context of this thread.
    ///
    /// # Safety
    /// - [ ] The CPU runs a thread that may be preempted and may sleep: preemption and interrupts are on, and no softirq,
    ///   interrupt or NMI is being served.
    /// - [ ] No other `Task` of this thread exists: called at thread start, or on entry from user mode. Not called for a
    ///   fault in kernel mode: that runs in the context of whatever took the fault.
    #[inline]
    pub unsafe fn enter<R>(f: impl FnOnce(&mut Task<'_, K>) -> R) -> R {
        let mut task = Task { may_sleep: MaySleep::NEW, held: Held::none() };
        let result = f(&mut task);
        task.held.check_none::<K>();
        result
    }
}

impl<'e, K> Deref for Task<'e, K> {
    type Target = MaySleep<'e, K>;

    #[inline]
    fn deref(&self) -> &MaySleep<'e, K> {
        &self.may_sleep
    }
}

impl<'e, K> DerefMut for Task<'e, K> {
    #[inline]
    fn deref_mut(&mut self) -> &mut MaySleep<'e, K> {
        &mut self.may_sleep
    }
}

impl<K: Kernel> Softirq<'_, K> {
    /// The tokens of this context, each once.
    #[inline]
    pub fn slots(&mut self) -> SoftirqSlots<'_, K> {
        // SAFETY: I1: softirqs do not nest on a CPU, `BhOff` keeps them out, and `self` is borrowed while the tokens live.
        unsafe { K::KmTypes::softirq() }
    }

    /// Turns interrupts off until the returned context is dropped. Linux: `local_irq_save()`.
    #[inline]
    pub fn irqs_off(&mut self) -> IrqsOff<'_, K> {
        IrqsOff::begin()
    }
}

impl<K: Kernel> HardIrq<'_, K> {
    /// The tokens of this context, each once.
    #[inline]
    pub fn slots(&mut self) -> IrqsOffSlots<'_, K> {
        // SAFETY: I1: with interrupts off nobody else on this CPU can have them, and `self` is borrowed while they live.
        unsafe { K::KmTypes::irqs_off() }
    }

    /// Runs `f` with interrupts on. Other handlers may use this CPU's interrupt slots meanwhile, so none is in use here.
    #[inline]
    pub fn with_irqs_on<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct OffAgain<K: Kernel>(PhantomData<K>);
        impl<K: Kernel> Drop for OffAgain<K> {
            fn drop(&mut self) {
                K::irq_save();
            }
        }
        debug::check_empty::<K>(Group::InterruptsOff);
        let _off_again = OffAgain::<K>(PhantomData);
        // SAFETY: I1: the handler's slots are not in use while `self` is borrowed.
        unsafe { K::irq_restore(true) };
        f()
    }
}

impl<K: Kernel> Nmi<'_, K> {
    /// The tokens of this context, each once.
    #[inline]
    pub fn slots(&mut self) -> NmiSlots<'_, K> {
        // SAFETY: I1: NMIs do not nest, and `self` is borrowed while the tokens live.
        unsafe { K::KmTypes::nmi() }
    }
}

/// A task that cannot be preempted, and so stays on its CPU. It cannot sleep.
#[must_use = "preemption is on again as soon as the context is dropped"]
pub struct Atomic<'cx, K: Kernel>(Here<'cx, K>);

impl<K: Kernel> Atomic<'_, K> {
    /// The tokens of this context, each once, and with them the right to go deeper.
    #[inline]
    pub fn slots(&mut self) -> AtomicSlots<'_, K> {
        // SAFETY: I1: preemption is off, so no other task runs on this CPU; interrupts use other slots; and `self` is
        // borrowed while the tokens live.
        unsafe { K::KmTypes::atomic() }
    }

    /// Keeps softirqs out until the returned context is dropped. Linux: `local_bh_disable()`.
    #[inline]
    pub fn bh_off(&mut self) -> BhOff<'_, K> {
        BhOff::begin()
    }

    /// Turns interrupts off until the returned context is dropped. Linux: `local_irq_save()`.
    #[inline]
    pub fn irqs_off(&mut self) -> IrqsOff<'_, K> {
        IrqsOff::begin()
    }
}

impl<K: Kernel> Drop for Atomic<'_, K> {
    #[inline]
    fn drop(&mut self) {
        debug::check_empty::<K>(Group::PreemptionOff);
        // SAFETY: I2: ends the `preempt_disable` that this context began with, and with it all its tokens.
        unsafe { K::preempt_enable() };
    }
}

/// A task that keeps softirqs out.
#[must_use = "softirqs run again as soon as the context is dropped"]
pub struct BhOff<'cx, K: Kernel>(Here<'cx, K>);

impl<K: Kernel> BhOff<'_, K> {
    #[inline]
    fn begin() -> Self {
        K::bh_disable();
        BhOff(Here::NEW)
    }

    /// The tokens of this context, each once, and with them the right to go deeper.
    #[inline]
    pub fn slots(&mut self) -> SoftirqSlots<'_, K> {
        // SAFETY: I1: softirqs are off, and `self` is borrowed while the tokens live.
        unsafe { K::KmTypes::softirq() }
    }

    /// Turns interrupts off until the returned context is dropped. Linux: `local_irq_save()`.
    #[inline]
    pub fn irqs_off(&mut self) -> IrqsOff<'_, K> {
        IrqsOff::begin()
    }
}

impl<K: Kernel> Drop for BhOff<'_, K> {
    #[inline]
    fn drop(&mut self) {
        debug::check_empty::<K>(Group::SoftirqsOff);
        // SAFETY: I1: ends the `bh_disable` that this context began with, and with it all its tokens.
        unsafe { K::bh_enable() };
    }
}

/// A context with interrupts off.
#[must_use = "interrupts are on again as soon as the context is dropped"]
pub struct IrqsOff<'cx, K: Kernel> {
    were_on: bool,
    _here: Here<'cx, K>,
}

impl<K: Kernel> IrqsOff<'_, K> {
    #[inline]
    fn begin() -> Self {
        IrqsOff { were_on: K::irq_save(), _here: Here::NEW }
    }

    /// The tokens of this context, each once.
    #[inline]
    pub fn slots(&mut self) -> IrqsOffSlots<'_, K> {
        // SAFETY: I1: with interrupts off nobody else on this CPU can have them, and `self` is borrowed while they live.
        unsafe { K::KmTypes::irqs_off() }
    }
}

impl<K: Kernel> Drop for IrqsOff<'_, K> {
    #[inline]
    fn drop(&mut self) {
        debug::check_empty::<K>(Group::InterruptsOff);
        // SAFETY: I1: ends the `irq_save` that this context began with, and with it all its tokens.
        unsafe { K::irq_restore(self.were_on) };
    }
}

/// The right to go deeper from [`Atomic`] while its tokens are in use.
pub struct AtomicDeeper<'cx, K>(Here<'cx, K>);

impl<K: Kernel> AtomicDeeper<'_, K> {
    /// # Safety
    /// Handed out together with the tokens of an [`Atomic`], once in `'cx`.
    #[doc(hidden)]
    #[inline]
    pub const unsafe fn new() -> Self {
        AtomicDeeper(Here::NEW)
    }

    /// As [`Atomic::bh_off`].
    #[inline]
    pub fn bh_off(&mut self) -> BhOff<'_, K> {
        BhOff::begin()
    }

    /// As [`Atomic::irqs_off`].
    #[inline]
    pub fn irqs_off(&mut self) -> IrqsOff<'_, K> {
        IrqsOff::begin()
    }
}

/// The right to go deeper from [`BhOff`] or [`Softirq`] while their tokens are in use.
pub struct SoftirqDeeper<'cx, K>(Here<'cx, K>);

impl<K: Kernel> SoftirqDeeper<'_, K> {
    /// # Safety
    /// Handed out together with the tokens of a [`BhOff`] or [`Softirq`], once in `'cx`.
    #[doc(hidden)]
    #[inline]
    pub const unsafe fn new() -> Self {
        SoftirqDeeper(Here::NEW)
    }

    /// As [`BhOff::irqs_off`].
    #[inline]
    pub fn irqs_off(&mut self) -> IrqsOff<'_, K> {
        IrqsOff::begin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_kernel::{TestKernel, calls};
    use core::mem;

    type K = TestKernel<false>;

    fn task(f: impl FnOnce(&mut Task<'_, K>)) {
        // SAFETY: I1: each test is a thread, and enters once at a time.
        unsafe { Task::enter(f) }
    }

    #[test]
    fn contexts_take_no_memory() {
        // With the feature, a task counts its mappings of the pool.
        assert_eq!(size_of::<Task<'_, K>>() == 0, !cfg!(feature = "debug"));
        assert_eq!(size_of::<MaySleep<'_, K>>(), 0);
        assert_eq!(size_of::<Atomic<'_, K>>(), 0);
        assert_eq!(size_of::<AtomicSlots<'_, K>>(), 0);
        assert_eq!(size_of::<SoftirqSlots<'_, K>>(), 0);
        assert_eq!(size_of::<IrqsOffSlots<'_, K>>(), 0);
        assert_eq!(size_of::<IrqsOff<'_, K>>(), size_of::<bool>());
    }

    #[test]
    fn contexts_nest_and_end_in_reverse_order() {
        let calls = calls(|| {
            task(|task| {
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                let mut bh_off = slots.deeper.bh_off();
                let mut slots = bh_off.slots();
                let _irqs_off = slots.deeper.irqs_off();
            });
        });
        let expected = ["preempt_disable", "bh_disable", "irq_save", "irq_restore(on)", "bh_enable", "preempt_enable"];
        assert_eq!(calls, expected);
    }

    #[test]
    fn contexts_without_slots_in_use_go_deeper_themselves() {
        let calls = calls(|| {
            task(|task| {
                let mut atomic = task.atomic();
                drop(atomic.irqs_off());
                let mut bh_off = atomic.bh_off();
                drop(bh_off.irqs_off());
            });
        });
        let expected = [
            "preempt_disable",
            "irq_save",
            "irq_restore(on)",
            "bh_disable",
            "irq_save",
            "irq_restore(on)",
            "bh_enable",
            "preempt_enable",
        ];
        assert_eq!(calls, expected);
    }

    #[test]
    fn a_forgotten_context_leaves_things_off() {
        let calls = calls(|| {
            task(|task| {
                let mut atomic = task.atomic();
                mem::forget(atomic.irqs_off());
                drop(atomic.irqs_off());
                mem::forget(atomic);
            });
        });
        assert_eq!(calls, ["preempt_disable", "irq_save", "irq_save", "irq_restore(off)"]);
    }

    #[test]
    fn a_handler_can_have_interrupts_on_for_a_time() {
        let calls = calls(|| {
            // SAFETY: I1: there are no interrupts in this test.
            unsafe {
                HardIrq::<K>::enter(|irq| {
                    let _ = irq.slots().irq0;
                    irq.with_irqs_on(|| ());
                    let _ = irq.slots().irq0;
                });
            }
        });
        assert_eq!(calls, ["irq_restore(on)", "irq_save"]);
    }

    #[test]
    fn interrupts_are_off_again_after_a_panic() {
        let calls = calls(|| {
            let panicked = std::panic::catch_unwind(|| {
                // SAFETY: I1: there are no interrupts in this test.
                unsafe { HardIrq::<K>::enter(|irq| irq.with_irqs_on(|| panic!("in the handler"))) }
            });
            assert!(panicked.is_err());
        });
        assert_eq!(calls, ["irq_restore(on)", "irq_save"]);
    }
}
