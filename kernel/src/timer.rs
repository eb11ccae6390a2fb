//! The timer: channel 0 of the 8254, on interrupt line 0, which interrupts the first CPU. Each of the others has one in its own
//! interrupt controller. All CPUs have ticks, for the sake of the scheduler; the handler gets those of the first CPU, and of those others that
//! ask for it.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use x86::io::outb;

use crate::kmap::HardIrq;
use crate::sync::IrqLock;
use crate::{cpu, irq, lapic, sched};

/// Ticks a second until somebody calls [`set_rate`].
pub const DEFAULT_RATE: u32 = 100;

/// The chip's clock, in Hz.
const CLOCK: u32 = 1_193_182;

const LINE: u8 = 0;
const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 2 (one pulse every `divisor` clocks), binary.
const RATE_GENERATOR: u8 = 0x34;

/// Clocks of the bus between two ticks of the other CPUs, unless they say otherwise: in QEMU, 10 ms.
const DEFAULT_CLOCKS: u32 = 10_000_000;

static TICKS: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds since the first tick, and from one to the next.
static UPTIME: AtomicU64 = AtomicU64::new(0);
static PERIOD: AtomicU64 = AtomicU64::new(0);
static HANDLER: IrqLock<Option<irq::Handler>> = IrqLock::new(None);

/// Starts the timer at [`DEFAULT_RATE`].
pub(crate) fn init() {
    set_rate(DEFAULT_RATE);
    cpu::this().ticks_wanted.store(true, Ordering::Relaxed);
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
        PERIOD.store(u64::from(divisor) * 1_000_000_000 / u64::from(CLOCK), Ordering::Relaxed);
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

/// Has the handler of [`set_handler`] called on this CPU, too, every `clocks` clocks of its bus (in QEMU, nanoseconds). Called by a
/// thread that is bound to the CPU. On the first CPU, whose timer is another, this does nothing.
pub fn start_local(clocks: u32) {
    set_local(clocks, true);
}

/// Ends [`start_local`].
pub fn stop_local() {
    set_local(DEFAULT_CLOCKS, false);
}

fn set_local(clocks: u32, wanted: bool) {
    irq::with_disabled(|| {
        if cpu::number() > 0 {
            cpu::this().ticks_wanted.store(wanted, Ordering::Relaxed);
            lapic::start_timer(clocks);
        }
    });
}

/// Starts the timer of a CPU that starts.
pub(crate) fn start_on_this_cpu() {
    stop_local();
}

/// Ticks of the first CPU's timer since it started.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// How long the machine runs, as the first CPU's timer counts it: a tick that is lost is time that has not been.
pub fn uptime() -> Duration {
    Duration::from_nanos(UPTIME.load(Ordering::Relaxed))
}

/// The time between two ticks of the first CPU.
pub fn period() -> Duration {
    Duration::from_nanos(PERIOD.load(Ordering::Relaxed))
}

fn tick(irq: &mut HardIrq<'_>) {
    TICKS.fetch_add(1, Ordering::Relaxed);
    UPTIME.fetch_add(PERIOD.load(Ordering::Relaxed), Ordering::Relaxed);
    local_tick(irq);
}

/// Serves a tick of this CPU's timer.
pub(crate) fn local_tick(irq: &mut HardIrq<'_>) {
    if cpu::this().ticks_wanted.load(Ordering::Relaxed)
        && let Some(handler) = HANDLER.with(|handler| *handler)
    {
        handler(irq);
    }
    sched::tick();
}
