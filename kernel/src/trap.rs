//! What happens on an exception or an interrupt.
//!
//! A page fault at a place that expects one continues at that place's fix-up (see [`probe`](crate::probe)); any other
//! exception is a bug, and the machine says all it knows and panics.

use core::fmt;

use x86::irq::{EXCEPTIONS, PAGE_FAULT_VECTOR, PageFaultError};

use crate::probe::{self, PageFault};
use crate::{irq, pic, println};

/// The stack after an exception or interrupt, as the stubs in [`idt`](crate::idt) leave it.
#[repr(C)]
pub struct TrapFrame {
    /// Registers, in the order of `pusha`.
    pub edi: u32,
    /// See `edi`.
    pub esi: u32,
    /// See `edi`.
    pub ebp: u32,
    /// Where `esp` was during `pusha`: of no use, and `popa` ignores it.
    pusha_esp: u32,
    /// See `edi`.
    pub ebx: u32,
    /// See `edi`.
    pub edx: u32,
    /// See `edi`.
    pub ecx: u32,
    /// See `edi`.
    pub eax: u32,
    /// Which exception or interrupt.
    pub vector: u32,
    /// Its error code, or 0.
    pub error: u32,
    /// The instruction interrupted.
    pub eip: u32,
    /// Its segment.
    pub cs: u32,
    /// Its flags.
    pub eflags: u32,
}

impl TrapFrame {
    /// The stack pointer at the interrupted instruction: ring 0 pushes none, the stack just goes on behind the frame.
    pub fn esp(&self) -> usize {
        (&raw const *self).wrapping_add(1) as usize
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { eax, ebx, ecx, edx, esi, edi, ebp, .. } = self;
        writeln!(f, "eip {:08x}  esp {:08x}  ebp {ebp:08x}  eflags {:08x}", self.eip, self.esp(), self.eflags)?;
        writeln!(f, "eax {eax:08x}  ebx {ebx:08x}  ecx {ecx:08x}  edx {edx:08x}")?;
        write!(f, "esi {esi:08x}  edi {edi:08x}  in {} interrupt handlers", irq::depth())
    }
}

/// Every stub ends here.
pub extern "C" fn entry(frame: &mut TrapFrame) {
    match frame.vector as u8 {
        PAGE_FAULT_VECTOR => page_fault(frame),
        vector @ 0..pic::FIRST_VECTOR => exception(vector, frame),
        vector => match vector - pic::FIRST_VECTOR {
            line if usize::from(line) < irq::LINES => irq::dispatch(line),
            _ => panic!("interrupt on vector {vector}, which nobody uses"),
        },
    }
}

fn page_fault(frame: &mut TrapFrame) {
    // SAFETY: reads a register. Nothing since the fault has faulted, so it still holds this fault's address.
    let address = unsafe { x86::controlregs::cr2() };
    let fault = PageFault { address, code: PageFaultError::from_bits_truncate(frame.error) };
    if !probe::fix_up(frame, fault) {
        println!("{frame}");
        panic!("#PF {fault}, eip {:#x}", frame.eip);
    }
}

fn exception(vector: u8, frame: &TrapFrame) -> ! {
    let name = &EXCEPTIONS[usize::from(vector)];
    println!("{frame}");
    panic!("{} {}, error code {:#x}, eip {:#x}", name.mnemonic, name.description, frame.error, frame.eip);
}
