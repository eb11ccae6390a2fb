//! What happens on an exception or an interrupt.
//!
//! A page fault at a place that expects one continues at that place's fix-up (see [`fixup`](crate::fixup)), unless the page can be
//! brought in; any other exception in the kernel is a bug, and the machine says all it knows and panics. An exception in ring 3 is the
//! business of the process ([`user`](crate::user)), as a system call is.

use x86::irq::{
    DOUBLE_FAULT_VECTOR, EXCEPTIONS, MACHINE_CHECK_VECTOR, NONMASKABLE_INTERRUPT_VECTOR, PAGE_FAULT_VECTOR,
    PageFaultError,
};

pub use crate::arch::{TrapFrame, UserFrame};
use crate::idt::SYSTEM_CALL_VECTOR;
use crate::probe::PageFault;
use crate::user::{self, Trap};
use crate::{fixup, irq, pic, println, spaces};

/// Every stub ends here, if the kernel was interrupted.
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

/// Every stub ends here, if ring 3 was interrupted. Says whether ring 3 is left: whoever has entered it goes on, and finds out why.
/// Otherwise it was an interrupt, and ring 3 goes on. Called with interrupts off.
pub extern "C" fn from_user(frame: &mut UserFrame) -> bool {
    let vector = frame.trap().vector();
    let trap = match vector {
        SYSTEM_CALL_VECTOR => Trap::SystemCall,
        PAGE_FAULT_VECTOR => Trap::PageFault(fault(frame.trap())),
        // These are about the machine, and not about what ring 3 does.
        NONMASKABLE_INTERRUPT_VECTOR | DOUBLE_FAULT_VECTOR | MACHINE_CHECK_VECTOR => exception(vector, frame.trap()),
        0..pic::FIRST_VECTOR => Trap::Exception(vector),
        _ => {
            entry(frame.trap());
            return false;
        }
    };
    user::leave(frame, trap);
    true
}

/// The page fault that this is the frame of. Called with interrupts off.
fn fault(frame: &TrapFrame) -> PageFault {
    // SAFETY: reads a register. Nothing since the fault has faulted, so it still holds this fault's address.
    let address = unsafe { x86::controlregs::cr2() };
    PageFault { address, code: PageFaultError::from_bits_truncate(frame.error()) }
}

fn page_fault(frame: &mut TrapFrame) {
    let fault = fault(frame);
    if !spaces::catches_up(fault) && !user::bring_in(frame, fault) && !fixup::fix_up(frame, fault) {
        println!("{frame}\nin {} interrupt handlers", irq::depth());
        panic!("#PF {fault}, at instruction {:#x}", frame.ip());
    }
}

fn exception(vector: u8, frame: &TrapFrame) -> ! {
    let name = &EXCEPTIONS[usize::from(vector)];
    println!("{frame}\nin {} interrupt handlers", irq::depth());
    panic!("{} {}, error code {:#x}, at instruction {:#x}", name.mnemonic, name.description, frame.error(), frame.ip());
}
