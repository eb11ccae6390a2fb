//! What happens on an exception or an interrupt.
//!
//! A page fault at a place that expects one continues at that place's fix-up (see [`probe`](crate::probe)); any other
//! exception is a bug, and the machine says all it knows and panics.

use x86::irq::{EXCEPTIONS, PAGE_FAULT_VECTOR, PageFaultError};

pub use crate::arch::TrapFrame;
use crate::probe::{self, PageFault};
use crate::{irq, pic, println};

/// Every stub ends here.
pub extern "C" fn entry(frame: &mut TrapFrame) {
    match frame.vector() {
        PAGE_FAULT_VECTOR => page_fault(frame),
        vector @ 0..pic::FIRST_VECTOR => exception(vector, frame),
        vector => match vector - pic::FIRST_VECTOR {
            line if usize::from(line) < irq::LINES => irq::dispatch(line),
            _ => irq::dispatch_local(vector),
        },
    }
}

fn page_fault(frame: &mut TrapFrame) {
    // SAFETY: reads a register. Nothing since the fault has faulted, so it still holds this fault's address.
    let address = unsafe { x86::controlregs::cr2() };
    let fault = PageFault { address, code: PageFaultError::from_bits_truncate(frame.error()) };
    if !probe::fix_up(frame, fault) {
        println!("{frame}\nin {} interrupt handlers", irq::depth());
        panic!("#PF {fault}, at instruction {:#x}", frame.ip());
    }
}

fn exception(vector: u8, frame: &TrapFrame) -> ! {
    let name = &EXCEPTIONS[usize::from(vector)];
    println!("{frame}\nin {} interrupt handlers", irq::depth());
    panic!("{} {}, error code {:#x}, at instruction {:#x}", name.mnemonic, name.description, frame.error(), frame.ip());
}
