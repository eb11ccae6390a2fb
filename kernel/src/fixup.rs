//! Instructions that may fault, and where to go on if they do.
//!
//! An instruction of the kernel that is allowed to fault has an entry in a table, a section of its own: where it is, and where its fix-up
//! is. The page-fault handler looks there; a fault anywhere else in the kernel is a bug.
//!
//! The code that has an entry finds in `eax` the error code of the fault, with [`FAULTED`] set, and in `edx` its address. All else is as
//! the instruction has left it: a copy that stopped halfway knows how far it came.
//!
//! ```ignore
//! asm!(
//!     "2: mov byte ptr [{address}], {value}",
//!     "3:",
//!     ".pushsection .ex_table, \"a\"",
//!     ".long 2b - .", // the instruction
//!     ".long 3b - .", // its fix-up
//!     ".popsection",
//!     ..
//! )
//! ```

use core::ptr;

use crate::probe::PageFault;
use crate::trap::TrapFrame;

/// In `eax`, behind a fix-up.
pub const FAULTED: u32 = 1 << 31;

/// One entry of the table: an instruction that may fault, and where to go on, each as a distance from where it is noted.
///
/// For a call, `instruction` is the one after it: if the target faults, that is the return address on the stack.
#[repr(C)]
struct FixUp {
    instruction: i32,
    landing: i32,
}

impl FixUp {
    fn instruction(&self) -> usize {
        target(&self.instruction)
    }

    fn landing(&self) -> usize {
        target(&self.landing)
    }
}

fn target(distance: &i32) -> usize {
    (&raw const *distance as usize).wrapping_add_signed(*distance as isize)
}

unsafe extern "C" {
    #[link_name = "__ex_table_start"]
    static TABLE: FixUp;
    #[link_name = "__ex_table_end"]
    static TABLE_END: FixUp;
}

/// If the fault is one that the interrupted code expects, arranges for it to go on at its fix-up.
pub(crate) fn fix_up(frame: &mut TrapFrame, fault: PageFault) -> bool {
    let instruction = if frame.ip() == fault.address {
        // SAFETY: the CPU has just pushed its own frame there, so the stack is mapped; a call leaves a word above it.
        unsafe { ptr::read_volatile(frame.sp() as *const usize) }
    } else {
        frame.ip()
    };
    let Some(entry) = table().iter().find(|entry| entry.instruction() == instruction) else {
        return false;
    };
    frame.resume(entry.landing(), FAULTED | fault.code.bits(), fault.address);
    true
}

fn table() -> &'static [FixUp] {
    let start = &raw const TABLE;
    let length = (&raw const TABLE_END as usize - start as usize) / size_of::<FixUp>();
    // SAFETY: the linker script puts every entry between the two symbols, in read-only data.
    unsafe { core::slice::from_raw_parts(start, length) }
}
