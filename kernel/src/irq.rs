//! The interrupt flag, and what happens on an interrupt line.
//!
//! Interrupts are off for as long as somebody wants them off: the flag is counted, as preemption is, so that it does not matter
//! in which order those who turned them off let go. (With a saved flag instead of a count, the first to let go would turn
//! interrupts on under the others; `highmem` forbids that.)
//!
//! A handler gets its [`HardIrq`] context, which lends the interrupt slots; it runs after the end-of-interrupt, so that it may
//! have interrupts on again ([`highmem::HardIrq::with_irqs_on`]).

use core::sync::atomic::Ordering::Relaxed;

use crate::arch::{self, Flags};
use crate::kmap::HardIrq;
use crate::sync::IrqLock;
use crate::{cpu, ipi, lapic, pic, sched, softirq, timer};

/// Number of interrupt lines of the two controllers.
pub const LINES: usize = 16;

/// What runs on an interrupt.
pub type Handler = fn(&mut HardIrq<'_>);

static HANDLERS: IrqLock<[Option<Handler>; LINES]> = IrqLock::new([None; LINES]);

/// Turns interrupts on where they are off for no counted reason.
pub(crate) fn enable() {
    // SAFETY: ring 0, and all gates are filled. I1: `irqs_off` says that nobody wants interrupts off.
    unsafe { x86::irq::enable() }
}

/// Turns interrupts off without counting that.
pub(crate) fn disable() {
    // SAFETY: ring 0.
    unsafe { x86::irq::disable() }
}

/// Whether interrupts are on.
pub fn enabled() -> bool {
    arch::flags().contains(Flags::FLAGS_IF)
}

/// Turns interrupts off until the matching [`restore`], and says whether they were on.
///
/// # Panics
///
/// After 2^32 of them that were not restored.
#[inline]
pub(crate) fn save() -> bool {
    let were_on = enabled();
    disable();
    let cpu = cpu::this();
    let reasons = cpu.irqs_off.load(Relaxed);
    if reasons == 0 {
        cpu.irqs_were_on.store(were_on, Relaxed);
    }
    let Some(reasons) = reasons.checked_add(1) else { cpu::too_many_reasons() };
    cpu.irqs_off.store(reasons, Relaxed);
    were_on
}

/// Ends a [`save`]; the last one turns interrupts on if they were on before the first.
#[inline]
pub(crate) fn restore() {
    let cpu = cpu::this();
    let reasons = cpu.irqs_off.load(Relaxed) - 1;
    cpu.irqs_off.store(reasons, Relaxed);
    if reasons == 0 && cpu.irqs_were_on.load(Relaxed) {
        enable();
    }
}

/// Serves an interrupt of the CPU's own controller; called by the interrupt entry, with interrupts off.
pub(crate) fn dispatch_local(vector: u8) {
    let handler: Option<Handler> = match vector {
        lapic::SPURIOUS_VECTOR => return,
        lapic::TIMER_VECTOR => Some(timer::local_tick),
        lapic::CALL_VECTOR => Some(ipi::answer),
        lapic::POKE_VECTOR => Some(|_| cpu::set_due(true)),
        _ => panic!("interrupt on vector {vector}, which nobody uses"),
    };
    serve(lapic::end_of_interrupt, handler);
}

/// Runs `f` with interrupts off.
pub fn with_disabled<R>(f: impl FnOnce() -> R) -> R {
    save();
    let result = f();
    restore();
    result
}

/// Whether an interrupt handler is running.
pub fn in_interrupt() -> bool {
    depth() > 0
}

/// How many interrupt handlers are running, one interrupting the other.
pub fn depth() -> u32 {
    cpu::irq_depth()
}

/// Calls `handler` on every interrupt on `line` from now on, in place of an earlier handler.
///
/// # Panics
///
/// If there is no such line, or it is the one between the two controllers (2).
pub fn set_handler(line: u8, handler: Handler) {
    assert!(usize::from(line) < LINES && line != pic::CASCADE, "no interrupt line {line}");
    HANDLERS.with(|handlers| handlers[usize::from(line)] = Some(handler));
    pic::unmask(line);
}

/// Turns interrupts on for the first time.
pub(crate) fn init() {
    assert_eq!(cpu::this().irqs_off.load(Relaxed), 0);
    enable();
}

/// Serves an interrupt on `line`; called by the interrupt entry, with interrupts off.
pub(crate) fn dispatch(line: u8) {
    if pic::is_spurious(line) {
        return;
    }
    let handler = HANDLERS.with(|handlers| handlers[usize::from(line)]);
    serve(|| pic::end_of_interrupt(line), handler);
}

/// Serves an interrupt, whoever it came from; called with interrupts off.
fn serve(end_of_interrupt: impl FnOnce(), handler: Option<Handler>) {
    let cpu = cpu::this();
    // The processor has turned interrupts off, which were on: this counts as a `save`.
    assert_eq!(cpu.irqs_off.swap(1, Relaxed), 0, "an interrupt while interrupts are off");
    cpu.irqs_were_on.store(true, Relaxed);
    cpu.irq_depth.fetch_add(1, Relaxed);
    end_of_interrupt();
    if let Some(handler) = handler {
        // SAFETY: I1: this serves an interrupt, which came because interrupts were on, and they are off now.
        unsafe { HardIrq::enter(handler) };
    }
    if cpu.irq_depth.fetch_sub(1, Relaxed) == 1 {
        softirq::run_pending();
    }
    // The return from the interrupt turns interrupts on: this counts as the `restore`.
    assert!(cpu.irqs_off.swap(0, Relaxed) == 1 && !enabled(), "an interrupt handler left the interrupt flag changed");
    sched::interrupt_ends();
}
