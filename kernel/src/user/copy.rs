//! Copies between the kernel and user space.
//!
//! In C, a pointer that a program passed is one dereference away from being used: without a check it may point into the kernel, and
//! without a fix-up a missing page stops the machine. The rule: user memory is reached by these two functions, which check and which
//! survive a fault; and not by these, but by those of `highmem` that rest on them ([`highmem::user`]), which are safe.
//!
//! With [`Faults::Handled`], a page that is missing, or shared, is brought in on the way; otherwise it is where the copy ends.

use core::arch::asm;

use highmem::kernel::Faults;

use crate::user::Current;
use crate::user::layout::USER_END;

/// Copies from user space. Gives how many bytes are left, from the first one on that cannot be read: 0 if all were copied, and all if this is
/// not user space.
///
/// # Safety
///
/// `len` bytes at `to` may be written. With [`Faults::Handled`], the caller holds the thread's `&mut MaySleep`, and lends it.
pub unsafe fn copy_from_user(to: *mut u8, from: usize, len: usize, faults: Faults) -> usize {
    // SAFETY: by this function's contract.
    unsafe { copy(to as usize, from, len, from, faults) }
}

/// Copies to user space. Gives how many bytes are left, from the first one on that cannot be written: 0 if all were copied, and all if this
/// is not user space.
///
/// # Safety
///
/// `len` bytes at `from` may be read. With [`Faults::Handled`], the caller holds the thread's `&mut MaySleep`, and lends it.
pub unsafe fn copy_to_user(to: usize, from: *const u8, len: usize, faults: Faults) -> usize {
    // SAFETY: by this function's contract.
    unsafe { copy(to, from as usize, len, to, faults) }
}

/// # Safety
///
/// As for the two functions above; `user` is the address of the two that is in user space.
unsafe fn copy(to: usize, from: usize, len: usize, user: usize, faults: Faults) -> usize {
    if user.checked_add(len).is_none_or(|end| end > USER_END) {
        return len;
    }
    // SAFETY: by this function's contract.
    let move_bytes = || unsafe { move_bytes(to, from, len) };
    Current::get(|current| match current {
        // SAFETY: by this function's contract, the right to sleep is lent; the closure copies.
        Some(current) if faults == Faults::Handled => unsafe { current.lend(move_bytes) },
        _ => move_bytes(),
    })
}

#[cfg(target_arch = "x86")]
macro_rules! source {
    () => {
        "esi"
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! source {
    () => {
        "rsi"
    };
}

/// Copies, and gives how many bytes are left after a fault in user space.
///
/// # Panics
///
/// After a fault in the kernel's memory: what survives one in user space would hide it.
///
/// # Safety
///
/// What is copied over may be written.
unsafe fn move_bytes(to: usize, from: usize, len: usize) -> usize {
    let (left, faulted, at): (usize, u32, usize);
    // SAFETY: by this function's contract; after a fault, `ecx` says how many bytes are left, and the fix-up goes on behind the
    // instruction with eax and edx set. The compiler keeps `esi` for itself, and so cannot be told that it is used; `from` may be in it.
    unsafe {
        asm!(
            concat!("xchg ", source!(), ", {from}"),
            "2: rep movsb",
            concat!("3: xchg ", source!(), ", {from}"),
            ".pushsection .ex_table, \"a\"",
            ".long 2b - .",
            ".long 3b - .",
            ".popsection",
            from = inout(reg) from => _,
            inout("ecx") len => left,
            inout("edi") to => _,
            inout("eax") 0u32 => faulted,
            out("edx") at,
            options(nostack)
        );
    }
    if faulted != 0 && at >= USER_END {
        panic!("a copy of user memory has met a page fault in the kernel's");
    }
    left
}
