//! What processes run: code in a section of the kernel's image.
//!
//! The section has its pages to itself. Each address space maps all of it, executable and read-only; the kernel cannot execute it. A program
//! is linked at one address and runs at another, so it is position-independent.
//!
//! ```ignore
//! global_asm!(
//!     ".pushsection .user, \"a\"",
//!     ".globl nothing",
//!     "nothing:",
//!     "mov eax, {exit}",
//!     "xor ebx, ebx",
//!     "int 0x80",
//!     ".popsection",
//!     exit = const call::EXIT,
//! );
//! ```

use core::ffi::c_void;
use core::ops::Range;

use crate::user::layout::PROGRAMS;

unsafe extern "C" {
    #[link_name = "__user_start"]
    static START: c_void;
    #[link_name = "__user_end"]
    static END: c_void;
}

/// The section, where the kernel has it: whole pages.
pub(super) fn section() -> Range<usize> {
    &raw const START as usize..&raw const END as usize
}

/// A program in the section.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    entry: usize,
}

impl Program {
    /// The one whose first instruction is there.
    ///
    /// # Panics
    ///
    /// If that is not in the section.
    pub fn at(start: *const c_void) -> Self {
        assert!(section().contains(&(start as usize)), "{start:p} is not in the section of programs");
        Self { entry: PROGRAMS + (start as usize - section().start) }
    }

    /// Where a process has its first instruction.
    pub fn entry(self) -> usize {
        self.entry
    }
}
