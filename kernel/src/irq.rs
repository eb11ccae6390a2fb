//! The interrupt flag, and what happens on an interrupt line.
//!
//! Interrupts are off for as long as somebody wants them off: the flag is counted, as preemption is, so that it does not matter
//! in which order those who turned them off let go. (With a saved flag instead of a count, the first to let go would turn
//! interrupts on under the others; `highmem` forbids that.)
//!
//! A handler gets its [`HardIrq`] context, which lends the interrupt slots; it runs after the end-of-interrupt, so that it may
//! have interrupts on again ([`highmem::HardIrq::with_irqs_on`]).

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use x86::current::eflags::{self, EFlags};

use crate::kmap::HardIrq;
use crate::sync::IrqLock;
use crate::{pic, softirq};

/// Number of interrupt lines of the two controllers.
pub const LINES: usize = 16;

/// What runs on an interrupt.
pub type Handler = fn(&mut HardIrq<'_>);

/// How many want interrupts off.
static OFF_COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether interrupts were on when the first of them came.
static WERE_ON: AtomicBool = AtomicBool::new(false);

/// How many interrupt handlers are running, one interrupting the other.
static DEPTH: AtomicU32 = AtomicU32::new(0);

static HANDLERS: IrqLock<[Option<Handler>; LINES]> = IrqLock::new([None; LINES]);

fn enable() {
    // SAFETY: ring 0, and all gates are filled. I1: `OFF_COUNT` says that nobody wants interrupts off.
    unsafe { x86::irq::enable() }
}

fn disable() {
    // SAFETY: ring 0.
    unsafe { x86::irq::disable() }
}

/// Whether interrupts are on.
pub fn enabled() -> bool {
    // SAFETY: reads a register.
    unsafe { eflags::read() }.contains(EFlags::FLAGS_IF)
}

/// Turns interrupts off until the matching [`restore`], and says whether they were on.
pub(crate) fn save() -> bool {
    let were_on = enabled();
    disable();
    let count = OFF_COUNT.load(Relaxed);
    if count == 0 {
        WERE_ON.store(were_on, Relaxed);
    }
    OFF_COUNT.store(count + 1, Relaxed);
    were_on
}

/// Ends a [`save`]; the last one turns interrupts on if they were on before the first.
pub(crate) fn restore() {
    let count = OFF_COUNT.load(Relaxed) - 1;
    OFF_COUNT.store(count, Relaxed);
    if count == 0 && WERE_ON.load(Relaxed) {
        enable();
    }
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
    DEPTH.load(Relaxed)
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
    assert_eq!(OFF_COUNT.load(Relaxed), 0);
    enable();
}

/// Serves an interrupt on `line`; called by the interrupt entry, with interrupts off.
pub(crate) fn dispatch(line: u8) {
    if pic::is_spurious(line) {
        return;
    }
    // The processor has turned interrupts off, which were on: this counts as a `save`.
    assert_eq!(OFF_COUNT.swap(1, Relaxed), 0, "an interrupt while interrupts are off");
    WERE_ON.store(true, Relaxed);
    DEPTH.fetch_add(1, Relaxed);
    pic::end_of_interrupt(line);
    if let Some(handler) = HANDLERS.with(|handlers| handlers[usize::from(line)]) {
        // SAFETY: I1: this serves an interrupt, which came because interrupts were on, and they are off now.
        unsafe { HardIrq::enter(handler) };
    }
    if DEPTH.fetch_sub(1, Relaxed) == 1 {
        softirq::run_pending();
    }
    // The return from the interrupt turns interrupts on: this counts as the `restore`.
    assert!(OFF_COUNT.swap(0, Relaxed) == 1 && !enabled(), "an interrupt handler left the interrupt flag changed");
}
