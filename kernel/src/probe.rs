//! Accesses that may fault: did this page table say what we think it says?
//!
//! A test of a mapping has to try what must not work. Each function here makes one access with one instruction, and an
//! entry in a table says where to go on if that instruction faults; the page-fault handler looks there first. The fault
//! comes back as an ordinary error.

use core::arch::asm;
use core::fmt;
use core::ptr;

use x86::irq::PageFaultError;

use crate::trap::TrapFrame;

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

/// Reads the byte at `address`.
///
/// # Errors
///
/// The page fault, if it was one.
#[must_use = "the access may have faulted"]
pub fn read_u8(address: usize) -> Result<u8, PageFault> {
    let (value, faulted, at, code): (u32, u32, usize, u32);
    // SAFETY: one load. If it faults, `fix_up` continues behind it with eax, ecx and edx set.
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
            out("ecx") code,
            out("edx") at,
            options(nostack)
        );
    }
    outcome(faulted, at, code).map(|()| value as u8)
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
    let (faulted, at, code): (u32, usize, u32);
    // SAFETY: one store, which the caller may do. If it faults, `fix_up` continues behind it with eax, ecx and edx set.
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
            out("ecx") code,
            out("edx") at,
            options(nostack)
        );
    }
    outcome(faulted, at, code)
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
    let (faulted, at, code): (u32, usize, u32);
    // SAFETY: a call of what the caller says is a function. If the target faults, `fix_up` continues at 3, with eax, ecx
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
            out("ecx") code,
            out("edx") at,
            out("edi") _,
            clobber_abi("C"),
        );
    }
    outcome(faulted, at, code)
}

/// If the fault is one that the interrupted code expects, arranges for it to go on at its fix-up, with 1 in eax and the
/// fault in ecx and edx.
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
    frame.resume(entry.landing(), fault.code.bits(), fault.address);
    true
}

fn table() -> &'static [FixUp] {
    let start = &raw const TABLE;
    let length = (&raw const TABLE_END as usize - start as usize) / size_of::<FixUp>();
    // SAFETY: the linker script puts every entry between the two symbols, in read-only data.
    unsafe { core::slice::from_raw_parts(start, length) }
}

fn outcome(faulted: u32, address: usize, code: u32) -> Result<(), PageFault> {
    match faulted {
        0 => Ok(()),
        _ => Err(PageFault { address, code: PageFaultError::from_bits_truncate(code) }),
    }
}
