//! Softirqs: what interrupt handlers leave for later, with interrupts on.
//!
//! There is one handler. It runs after the outermost interrupt handler, or when the last reason to keep it out ends, and never inside
//! itself.

use core::sync::atomic::Ordering::Relaxed;

use crate::kmap::Softirq;
use crate::sync::IrqLock;
use crate::{cpu, irq};

/// How many softirqs may run in a row before the interrupted code goes on.
const BUDGET: u32 = 10;

/// What runs in softirq context.
pub type Handler = fn(&mut Softirq<'_>);

static HANDLER: IrqLock<Option<Handler>> = IrqLock::new(None);

/// Calls `handler` for each softirq from now on.
pub fn set_handler(handler: Handler) {
    HANDLER.with(|slot| *slot = Some(handler));
}

/// Asks for the softirq; called by interrupt handlers.
pub fn raise() {
    irq::with_disabled(|| cpu::this().softirq_pending.store(true, Relaxed));
}

/// Keeps softirqs out until the matching [`enable`], and the thread on its CPU.
pub(crate) fn disable() {
    irq::with_disabled(|| cpu::one_more(&cpu::this().softirqs_off));
}

/// Ends the matching [`disable`].
pub(crate) fn enable() {
    cpu::one_less(&cpu::this().softirqs_off);
    // With interrupts off, the next interrupt sees to it.
    if irq::enabled() && !irq::in_interrupt() {
        irq::with_disabled(run_pending);
    }
}

/// Runs what is pending, with interrupts on; called with interrupts turned off once, outside of interrupt handlers.
pub(crate) fn run_pending() {
    let Some(handler) = HANDLER.with(|handler| *handler) else { return };
    if cpu::this().softirqs_off.load(Relaxed) > 0 {
        return;
    }
    disable();
    for _ in 0..BUDGET {
        if !cpu::this().softirq_pending.swap(false, Relaxed) {
            break;
        }
        cpu::this().in_softirq.store(true, Relaxed);
        irq::restore();
        // SAFETY: I1: `softirqs_off` keeps a second softirq from beginning, and `BhOff` keeps this one from beginning.
        unsafe { Softirq::enter(handler) };
        irq::save();
        cpu::this().in_softirq.store(false, Relaxed);
    }
    cpu::one_less(&cpu::this().softirqs_off);
}
