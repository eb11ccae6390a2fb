//! Exceptions: each is reported, and ends the kernel. Except for a page fault in [`read`], which
//! says so instead: highmem's self-test looks whether a page is there.

use core::arch::global_asm;
use core::ffi::c_void;

use spin::Once;
use x86::controlregs::cr2;
use x86::dtables::{DescriptorTablePointer, lidt};
use x86::segmentation::{
    BuildDescriptor, DescriptorBuilder, GateDescriptorBuilder, SegmentSelector,
};

use crate::exit::exit;
use crate::println;

#[cfg(target_arch = "x86_64")]
use x86::bits64::segmentation::Descriptor64 as Gate;
#[cfg(target_arch = "x86")]
use x86::segmentation::Descriptor as Gate;

#[cfg(target_arch = "x86")]
type Address = u32;
#[cfg(target_arch = "x86_64")]
type Address = u64;

const EXCEPTIONS: usize = 32;

/// The bytes of a stub in `boot/faults_*.s`.
const STUB: usize = 16;

#[cfg(target_arch = "x86")]
global_asm!(include_str!("boot/faults_x86.s"), options(att_syntax));
#[cfg(target_arch = "x86_64")]
global_asm!(include_str!("boot/faults_x86_64.s"), options(att_syntax));

unsafe extern "C" {
    #[link_name = "fault_stubs"]
    static STUBS: c_void;

    /// Copies the word at `address` to `word`; false if there is a page fault.
    fn read_word(address: usize, word: *mut usize) -> bool;
}

static GATES: Once<[Gate; EXCEPTIONS]> = Once::new();

/// Loads the gates of the exceptions.
pub fn init() {
    let gate = |vector| {
        let stub = &raw const STUBS as usize + vector * STUB;
        let code = SegmentSelector::from_raw(8);
        let gate: DescriptorBuilder =
            DescriptorBuilder::interrupt_descriptor(code, stub as Address);
        gate.present().finish()
    };
    let gates = GATES.call_once(|| core::array::from_fn(gate));
    // SAFETY: the gates are static, and each leads to the stub of its exception.
    unsafe { lidt(&DescriptorTablePointer::new_from_slice(gates)) };
}

/// The eight bytes at an aligned address; `None` if there is no page.
pub fn read(address: usize) -> Option<u64> {
    let mut words = [0_usize; size_of::<u64>() / size_of::<usize>()];
    for (index, word) in words.iter_mut().enumerate() {
        // SAFETY: one load, which may fault, and one store, to `word`.
        if !unsafe { read_word(address + index * size_of::<usize>(), word) } {
            return None;
        }
    }
    Some(words.iter().rev().fold(0, |value, &word| value << (usize::BITS % 64) | word as u64))
}

/// Called by the stubs, with what is on the stack.
#[unsafe(no_mangle)]
extern "C" fn report_fault(frame: &[usize; 3]) -> ! {
    let [vector, code, instruction] = frame;
    // SAFETY: reads a register.
    let address = unsafe { cr2() };
    println!(
        "exception {vector} (code {code:#x}) at {instruction:#x}; the last page fault: {address:#x}"
    );
    exit(false)
}
