//! What each CPU has for itself. (There is one CPU so far.)

use core::sync::atomic::{AtomicBool, AtomicU32};

/// The state of one CPU. Only that CPU writes it; its interrupt handlers do so, too.
#[derive(Debug)]
pub(crate) struct Cpu {
    /// How many reasons there are not to switch to another thread.
    pub preempt_count: AtomicU32,
    /// How many want interrupts off.
    pub irqs_off: AtomicU32,
    /// Whether interrupts were on when the first of them came.
    pub irqs_were_on: AtomicBool,
    /// How many interrupt handlers are running, one interrupting the other.
    pub irq_depth: AtomicU32,
    /// Whether a softirq is to run.
    pub softirq_pending: AtomicBool,
    /// Reasons not to run softirqs, one of them being that one runs.
    pub softirqs_off: AtomicU32,
    /// Whether a softirq runs.
    pub in_softirq: AtomicBool,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            preempt_count: AtomicU32::new(0),
            irqs_off: AtomicU32::new(0),
            irqs_were_on: AtomicBool::new(false),
            irq_depth: AtomicU32::new(0),
            softirq_pending: AtomicBool::new(false),
            softirqs_off: AtomicU32::new(0),
            in_softirq: AtomicBool::new(false),
        }
    }
}

static CPU: Cpu = Cpu::new();

/// The CPU that this code runs on.
#[inline]
pub(crate) fn this() -> &'static Cpu {
    &CPU
}
