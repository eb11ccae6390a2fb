//! What is left to set up of the processor, once it runs Rust.

#[cfg(target_arch = "x86")]
use core::arch::x86::__cpuid;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__cpuid;

use x86::io::outb;
use x86::msr::{IA32_EFER, rdmsr, wrmsr};

/// EFER.NXE: page-table entries may forbid execution.
const NXE: u64 = 1 << 11;

/// Turns on no-execute, and interrupts.
///
/// # Safety
/// Called once, at boot, when exceptions have their handlers.
pub unsafe fn init() {
    assert!(has_no_execute(), "this kernel wants a processor with NX");
    // SAFETY: the processor has this bit, and no page-table entry has had one for it so far.
    unsafe { wrmsr(IA32_EFER, rdmsr(IA32_EFER) | NXE) };

    // There are no handlers for devices yet: both interrupt controllers are told to be silent.
    // SAFETY: the mask registers of the two 8259, which nobody else uses.
    unsafe {
        outb(0x21, 0xff);
        outb(0xa1, 0xff);
    }
    // SAFETY: ring 0; nothing comes but exceptions, which have their handlers.
    unsafe { x86::irq::enable() };
}

fn has_no_execute() -> bool {
    const LEAF: u32 = 0x8000_0001;
    __cpuid(0x8000_0000).eax >= LEAF && __cpuid(LEAF).edx & (1 << 20) != 0
}
