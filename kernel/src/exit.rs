//! The ends that a program can come to.
//!
//! Whatever happens, the last line says `verdict: PASS` or `verdict: FAIL`, and QEMU ends with status 33 or 35. (A triple
//! fault prints nothing; with `-no-reboot` QEMU then ends with 0, which is neither.)

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use qemu_exit::{QEMUExit, X86};

use crate::{console, harness, irq, println};

/// The port of QEMU's `isa-debug-exit`.
const PORT: u16 = 0xf4;

/// QEMU's status for success.
const SUCCESS: u32 = 33;

/// QEMU's status for failure is 35, twice this and one: not 1, which QEMU uses for errors of its own.
const FAILURE: u32 = 17;

static PANICKING: AtomicBool = AtomicBool::new(false);

/// Prints the verdict and ends QEMU. Without the `isa-debug-exit` device, the CPU halts.
pub fn exit(success: bool) -> ! {
    irq::save();
    println!("verdict: {}", if success { "PASS" } else { "FAIL" });
    console::flush();
    // SAFETY: the port of QEMU's exit device, or else of nothing.
    let device = unsafe { X86::new(PORT, SUCCESS) };
    if success { device.exit_success() } else { device.exit(FAILURE) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    irq::save();
    if PANICKING.swap(true, Ordering::Relaxed) {
        println!("panicked while panicking");
        exit(false);
    }
    match info.location() {
        Some(at) => println!("panicked at {}:{}: {}", at.file(), at.line(), info.message()),
        None => println!("panicked: {}", info.message()),
    }
    harness::report_failure();
    exit(false)
}
