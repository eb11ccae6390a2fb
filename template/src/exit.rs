//! The ends that the kernel can come to, each with an exit status of QEMU.

use core::panic::PanicInfo;

use qemu_exit::{QEMUExit, X86};

use crate::println;

/// Ends QEMU: with status 33 if all went well, else with 35. `boot` looks at it.
pub fn exit(success: bool) -> ! {
    // SAFETY: the port of QEMU's `isa-debug-exit`; without that device, of nothing.
    let qemu = unsafe { X86::new(0xf4, 33) };
    if success { qemu.exit_success() } else { qemu.exit(17) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("{info}");
    exit(false)
}
