//! Calls between CPUs: has every other CPU run a function, in an interrupt, and waits until all have.
//!
//! A translation is flushed on the CPU that cached it and nowhere else, so an entry that all CPUs use is free again only when each has
//! run the flush. Linux: `smp_call_function()`.
//!
//! There is one call at a time. Whoever waits, for its turn or for the others, waits with interrupts on and so goes on answering: two
//! CPUs that call each other do not wait for ever. This is why a call needs interrupts on; that preemption and softirqs are off while it
//! lasts keeps a second one from beginning inside it on the same CPU.
//!
//! What is called runs beside an atomic mapping that the caller may hold, whose bytes another CPU must not get (I7). A function has
//! nothing of the caller's; a closure may have, and so takes `&mut MaySleep`, which nobody has under an atomic
//! mapping.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

use spin::mutex::SpinMutex;

use crate::kmap::{HardIrq, MaySleep};
use crate::sync::IrqLock;
use crate::{cpu, irq, lapic, smp, softirq};

/// Looks at another CPU before it is called broken: many seconds.
const PATIENCE: u32 = 1 << 28;

/// What a CPU is called for.
type Call = dyn Fn(&mut HardIrq<'_>) + Sync;

/// Held by the CPU whose call it is.
static TURN: SpinMutex<()> = SpinMutex::new(());

/// What is called.
static CALL: IrqLock<Option<&'static Call>> = IrqLock::new(None);

/// The CPUs that have not done it yet, one bit each.
static PENDING: AtomicU32 = AtomicU32::new(0);

/// How many calls have been answered, each CPU's counting as one.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

/// How often a CPU has answered a call so far: what flushes of all CPUs cost the others.
pub fn answers() -> u64 {
    ANSWERS.load(Relaxed)
}

/// Runs `function` on every other CPU, in interrupt context, and waits until all have.
///
/// ```ignore
/// ipi::call_on_others(|_| flush_all());
/// ```
///
/// # Panics
///
/// If interrupts are off, if an interrupt is being served, or if a CPU does not answer within many seconds.
#[track_caller]
pub fn call_on_others(function: irq::Handler) {
    call(&function);
}

/// As [`call_on_others`], with a closure. It may have borrowed what it uses, but from no atomic mapping.
///
/// # Panics
///
/// As [`call_on_others`].
#[track_caller]
pub fn call_on_others_with(_task: &mut MaySleep<'_>, f: &(dyn Fn(&mut HardIrq<'_>) + Sync)) {
    call(f);
}

/// As [`call_on_others_with`], for callers that keep its promise themselves; in a softirq, too.
#[track_caller]
pub(crate) fn call(f: &(dyn Fn(&mut HardIrq<'_>) + Sync)) {
    call_those(|_| true, f);
}

/// As [`call`], but of the other CPUs only those that `which` says yes to.
#[track_caller]
pub(crate) fn call_those(which: impl Fn(usize) -> bool, f: &(dyn Fn(&mut HardIrq<'_>) + Sync)) {
    assert!(irq::enabled(), "a call to other CPUs with interrupts off");
    assert!(!irq::in_interrupt(), "a call to other CPUs from an interrupt");
    cpu::preempt_disable();
    softirq::disable();
    let turn = (0..PATIENCE).inspect(|_| core::hint::spin_loop()).find_map(|_| TURN.try_lock());
    let turn = turn.expect("the call of another CPU does not end");

    // SAFETY: only the lifetime changes. The borrow lasts longer than this function, which ends when the last CPU has run `f`; before, it
    // ends only in a panic, and with it the machine does.
    let f: &'static Call = unsafe { core::mem::transmute::<&(dyn Fn(&mut HardIrq<'_>) + Sync), &'static Call>(f) };
    CALL.with(|call| *call = Some(f));
    let asked = (0..smp::count()).filter(|&number| number != cpu::number() && which(number));
    let asked: u32 = asked.map(|number| 1 << number).sum();
    let others = (0..smp::count()).filter(|number| asked & 1 << number != 0);
    PENDING.store(asked, Release);
    for number in others.clone() {
        irq::with_disabled(|| lapic::interrupt(number as u8, lapic::CALL_VECTOR));
    }
    for number in others {
        let has_done_it = || PENDING.load(Acquire) & 1 << number == 0;
        let in_time = (0..PATIENCE).inspect(|_| core::hint::spin_loop()).any(|_| has_done_it());
        assert!(in_time, "CPU {number} does not answer a call");
    }
    CALL.with(|call| *call = None);

    drop(turn);
    softirq::enable();
    cpu::preempt_enable();
}

/// Answers a call; the handler of [`lapic::CALL_VECTOR`].
pub(crate) fn answer(irq: &mut HardIrq<'_>) {
    let own = 1 << cpu::number();
    if PENDING.load(Acquire) & own == 0 {
        return;
    }
    if let Some(f) = CALL.with(|call| *call) {
        f(irq);
    }
    ANSWERS.fetch_add(1, Relaxed);
    PENDING.fetch_and(!own, Release);
}
