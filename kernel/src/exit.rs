//! The ends that a program can come to.
//!
//! Whatever happens, the last line says `verdict: PASS` or `verdict: FAIL`, and QEMU ends with status 33 or 35. (A triple
//! fault prints nothing; with `-no-reboot` QEMU then ends with 0, which is neither.)

use core::panic::PanicInfo;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

use qemu_exit::{QEMUExit, X86};

use crate::{console, cpu, harness, irq, print, println, sched, smp};

/// The port of QEMU's `isa-debug-exit`.
const PORT: u16 = 0xf4;

/// QEMU's status for success.
const SUCCESS: u32 = 33;

/// QEMU's status for failure is 35, twice this and one: not 1, which QEMU uses for errors of its own.
const FAILURE: u32 = 17;

/// Who panics: the number of the CPU, and one; or 0.
static PANICKING: AtomicUsize = AtomicUsize::new(0);

/// Prints the verdict and ends QEMU. Without the `isa-debug-exit` device, the CPU halts.
pub fn exit(success: bool) -> ! {
    irq::save();
    #[cfg(feature = "trace")]
    crate::trace::hand_over();
    println!("verdict: {}", if success { "PASS" } else { "FAIL" });
    console::flush();
    // SAFETY: the port of QEMU's exit device, or else of nothing.
    let device = unsafe { X86::new(PORT, SUCCESS) };
    if success { device.exit_success() } else { device.exit(FAILURE) }
}

/// Stops this CPU.
fn stop() -> ! {
    loop {
        irq::disable();
        // SAFETY: ring 0, with interrupts off.
        unsafe { x86::halt() };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    irq::save();
    let own = cpu::number() + 1;
    match PANICKING.compare_exchange(0, own, Relaxed, Relaxed) {
        Ok(_) => {}
        Err(whose) if whose == own => {
            println!("panicked while panicking");
            exit(false);
        }
        Err(_) => stop(), // another CPU is about to end the machine, and says why
    }
    if smp::count() > 1 {
        print!("CPU {} ", cpu::number());
    }
    if let Some(name) = sched::try_name() {
        print!("thread {name} ");
    }
    match info.location() {
        Some(at) => println!("panicked at {}:{}: {}", at.file(), at.line(), info.message()),
        None => println!("panicked: {}", info.message()),
    }
    exit(harness::ends_as_expected(info.message().as_str()))
}
