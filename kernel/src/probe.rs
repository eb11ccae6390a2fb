//! Accesses that may fault: did this page table say what we think it says?
//!
//! A test of a mapping has to try what must not work. Each function here makes one access with one instruction that has a
//! fix-up (see `fixup`). The fault comes back as an ordinary error.

use core::arch::asm;
use core::fmt;

use x86::irq::PageFaultError;

use crate::fixup;

/// A page fault that an access met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The address that could not be accessed (CR2).
    pub address: usize,
    /// The error code of the exception.
    pub code: PageFaultError,
}

impl PageFault {
    /// A present page did not allow this access; otherwise there was no page.
    pub fn was_present(&self) -> bool {
        self.code.contains(PageFaultError::P)
    }

    /// The access was a write.
    pub fn was_write(&self) -> bool {
        self.code.contains(PageFaultError::WR)
    }

    /// The access was made in user mode.
    pub fn was_user(&self) -> bool {
        self.code.contains(PageFaultError::US)
    }

    /// A page-table entry has a bit set that this CPU reserves.
    pub fn was_reserved(&self) -> bool {
        self.code.contains(PageFaultError::RSVD)
    }

    /// The access was an instruction fetch. A CPU without NX does not tell these from reads.
    pub fn was_instruction_fetch(&self) -> bool {
        self.code.contains(PageFaultError::ID)
    }
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match (self.was_instruction_fetch(), self.was_write()) {
            (true, _) => "instruction fetch from",
            (false, true) => "write to",
            (false, false) => "read of",
        };
        let user = if self.was_user() { "user-mode " } else { "" };
        let why = match (self.was_reserved(), self.was_present()) {
            (true, _) => "reserved bit set in a page-table entry",
            (false, true) => "the page does not allow it",
            (false, false) => "no page there",
        };
        write!(f, "on {user}{access} {:#010x}: {why} (error code {:#x})", self.address, self.code.bits())
    }
}

/// Reads the byte at `address`.
///
/// # Errors
///
/// The page fault, if it was one.
#[must_use = "the access may have faulted"]
pub fn read_u8(address: usize) -> Result<u8, PageFault> {
    let (value, faulted, at): (u32, u32, usize);
    // SAFETY: one load. If it faults, its fix-up continues behind it with eax and edx set.
    unsafe {
        asm!(
            "2: movzx {value:e}, byte ptr [{address}]",
            "3:",
            ".pushsection .ex_table, \"a\"",
            ".long 2b - .",
            ".long 3b - .",
            ".popsection",
            address = in(reg) address,
            value = out(reg) value,
            inout("eax") 0u32 => faulted,
            out("edx") at,
            options(nostack)
        );
    }
    outcome(faulted, at).map(|()| value as u8)
}

/// Writes `value` to the byte at `address`.
///
/// # Errors
///
/// The page fault, if it was one.
///
/// # Safety
///
/// If the write works, it must be one that the caller may do: nobody holds a reference to that byte.
#[must_use = "the access may have faulted"]
pub unsafe fn write_u8(address: usize, value: u8) -> Result<(), PageFault> {
    let (faulted, at): (u32, usize);
    // SAFETY: one store, which the caller may do. If it faults, its fix-up continues behind it with eax and edx set.
    unsafe {
        asm!(
            "2: mov byte ptr [{address}], {value}",
            "3:",
            ".pushsection .ex_table, \"a\"",
            ".long 2b - .",
            ".long 3b - .",
            ".popsection",
            address = in(reg) address,
            value = in(reg_byte) value,
            inout("eax") 0u32 => faulted,
            out("edx") at,
            options(nostack)
        );
    }
    outcome(faulted, at)
}

/// Calls `address`. A CPU without NX just does it if the page can be read.
///
/// # Errors
///
/// The page fault, if the first instruction there could not be fetched.
///
/// # Safety
///
/// If the call works, there must be a function there that follows the C calling convention; a `ret` (0xc3) is one.
#[must_use = "the access may have faulted"]
pub unsafe fn execute(address: usize) -> Result<(), PageFault> {
    let (faulted, at): (u32, usize);
    // SAFETY: a call of what the caller says is a function. If the target faults, its fix-up continues at 3, with eax
    // and edx set, and that drops the return address into edi.
    unsafe {
        asm!(
            "call {address}",
            "2: xor eax, eax",
            "jmp 4f",
            "3: .byte 0x5f", // pop edi, or pop rdi
            "4:",
            ".pushsection .ex_table, \"a\"",
            ".long 2b - .",
            ".long 3b - .",
            ".popsection",
            address = in(reg) address,
            inout("eax") 0u32 => faulted,
            out("edx") at,
            out("edi") _,
            clobber_abi("C"),
        );
    }
    outcome(faulted, at)
}

fn outcome(faulted: u32, address: usize) -> Result<(), PageFault> {
    match faulted {
        0 => Ok(()),
        _ => Err(PageFault { address, code: PageFaultError::from_bits_truncate(faulted & !fixup::FAULTED) }),
    }
}
