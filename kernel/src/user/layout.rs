//! Which addresses a process has.
//!
//! All processes have the same, in all paging modes, so that programs are the same, too: below 4 GiB.

use core::ops::Range;

use highmem::PAGE_SIZE;

pub use crate::arch::USER_END;
use crate::user::program;

/// Where the programs are, all of them: read-only.
pub const PROGRAMS: usize = 0x0040_0000;

/// Where memory begins: zeros until it is written, and no frame until it is touched.
pub const MEMORY: usize = 0x1000_0000;

/// How much memory there is: 4 MiB. What the kernel notes about the pages of all processes has room in its heap.
pub const MEMORY_SIZE: usize = 4 << 20;

/// Where the stack ends. It is memory, too.
pub const STACK_TOP: usize = 0xB000_0000;

/// How large the stack is.
pub const STACK_SIZE: usize = 16 * PAGE_SIZE;

/// What there is at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    /// Programs: mapped from the beginning, and never written.
    Programs,
    /// Memory or stack.
    Memory,
}

impl Region {
    /// What there is at `address`, if there is anything.
    pub fn of(address: usize) -> Option<Self> {
        const MEMORY_RANGE: Range<usize> = MEMORY..MEMORY + MEMORY_SIZE;
        const STACK_RANGE: Range<usize> = STACK_TOP - STACK_SIZE..STACK_TOP;
        if MEMORY_RANGE.contains(&address) || STACK_RANGE.contains(&address) {
            Some(Self::Memory)
        } else {
            (PROGRAMS..PROGRAMS + program::section().len()).contains(&address).then_some(Self::Programs)
        }
    }
}
