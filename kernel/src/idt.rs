//! The interrupt gates: 256 of them, each with a stub that makes all stack frames alike.
//!
//! Some exceptions push an error code and some do not; an interrupt must give back every register, and compiled code
//! wants the direction flag clear and the stack aligned. The stubs and `trap_common`, where they lead, see to that, and call
//! [`trap::entry`](crate::trap::entry) with the frame.
//!
//! All gates are interrupt gates: a handler starts with interrupts off.

use core::arch::global_asm;
use core::ffi::c_void;

use x86::Ring;
use x86::dtables::{DescriptorTablePointer, lidt};
use x86::segmentation::{BuildDescriptor, DescriptorBuilder, GateDescriptorBuilder};

use crate::arch::{Gate, GateAddress};
use crate::gdt;

const VECTORS: usize = 256;

/// The vector of system calls, the one that ring 3 may call itself.
pub const SYSTEM_CALL_VECTOR: u8 = 0x80;

/// Distance between two stubs, in bytes.
const STUB_SIZE: usize = 16;

global_asm!(
    ".pushsection .text.trap, \"ax\", @progbits",
    ".balign {size}",
    ".globl trap_stubs",
    "trap_stubs:",
    ".set vector, 0",
    ".rept {vectors}",
    ".balign {size}",
    ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)",
    "push 0", // in place of an error code
    ".endif",
    "push vector",
    "jmp trap_common",
    ".set vector, vector + 1",
    ".endr",
    ".popsection",
    size = const STUB_SIZE,
    vectors = const VECTORS,
);

unsafe extern "C" {
    #[link_name = "trap_stubs"]
    static STUBS: c_void;
}

static IDT: spin::Once<[Gate; VECTORS]> = spin::Once::new();

/// Fills the table, which is that of all CPUs.
pub fn init() {
    IDT.call_once(|| {
        core::array::from_fn(|vector| {
            let stub = &raw const STUBS as usize + vector * STUB_SIZE;
            let gate: DescriptorBuilder = DescriptorBuilder::interrupt_descriptor(gdt::CODE, stub as GateAddress);
            let ring = if vector == usize::from(SYSTEM_CALL_VECTOR) { Ring::Ring3 } else { Ring::Ring0 };
            gate.present().dpl(ring).finish()
        })
    });
}

/// Loads the table on this CPU.
///
/// # Panics
///
/// If nobody has filled it.
pub fn load() {
    let idt = IDT.get().expect("the table is filled first");
    // SAFETY: the table is static, and every gate leads to a stub for its vector.
    unsafe { lidt(&DescriptorTablePointer::new_from_slice(idt)) }
}
