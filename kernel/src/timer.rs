//! The timer: channel 0 of the 8254, on interrupt line 0, which interrupts the first CPU. Each of the others has one in its own
//! interrupt controller.

use core::sync::atomic::{AtomicU64, Ordering};

use x86::io::outb;

use crate::kmap::HardIrq;
use crate::sync::IrqLock;
use crate::{cpu, irq, lapic};

/// Ticks a second until somebody calls [`set_rate`].
pub const DEFAULT_RATE: u32 = 100;

/// The chip's clock, in Hz.
const CLOCK: u32 = 1_193_182;

const LINE: u8 = 0;
const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 2 (one pulse every `divisor` clocks), binary.
const RATE_GENERATOR: u8 = 0x34;

static TICKS: AtomicU64 = AtomicU64::new(0);
static HANDLER: IrqLock<Option<irq::Handler>> = IrqLock::new(None);

/// Starts the timer at [`DEFAULT_RATE`].
pub(crate) fn init() {
    set_rate(DEFAULT_RATE);
    irq::set_handler(LINE, tick);
}

/// Sets the rate, in ticks a second.
///
/// # Panics
///
/// If the chip cannot do it: below 19 or above 1193182.
pub fn set_rate(hz: u32) {
    let divisor = CLOCK.checked_div(hz).unwrap_or(0);
    assert!((1..=0x1_0000).contains(&divisor), "{hz} ticks a second");
    let [low, high, ..] = divisor.to_le_bytes(); // 0 stands for 65536
    irq::with_disabled(|| {
        // SAFETY: programs the timer, all three writes together.
        unsafe {
            outb(COMMAND, RATE_GENERATOR);
            outb(CHANNEL_0, low);
            outb(CHANNEL_0, high);
        }
    });
}

/// Calls `handler` in interrupt context on every tick from now on, in place of an earlier handler.
pub fn set_handler(handler: irq::Handler) {
    HANDLER.with(|slot| *slot = Some(handler));
}

/// Calls nobody any more.
pub fn clear_handler() {
    HANDLER.with(|slot| *slot = None);
}

/// Starts this CPU's own timer: a tick every `clocks` clocks of its bus (in QEMU, nanoseconds). The handler is that of
/// [`set_handler`]. On the first CPU, whose timer is another, this does nothing.
pub fn start_local(clocks: u32) {
    if cpu::number() > 0 {
        irq::with_disabled(|| lapic::start_timer(clocks));
    }
}

/// Ends [`start_local`].
pub fn stop_local() {
    if cpu::number() > 0 {
        irq::with_disabled(lapic::stop_timer);
    }
}

/// Ticks of the first CPU's timer since it started.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

fn tick(irq: &mut HardIrq<'_>) {
    TICKS.fetch_add(1, Ordering::Relaxed);
    local_tick(irq);
}

/// Serves a tick of this CPU's timer.
pub(crate) fn local_tick(irq: &mut HardIrq<'_>) {
    let handler = HANDLER.with(|handler| *handler);
    if let Some(handler) = handler {
        handler(irq);
    }
}
