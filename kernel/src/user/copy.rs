//! Copies between the kernel and user space.
//!
//! In C, a pointer that a program passed is one dereference away from being used: without a check it may point into the kernel, and
//! without a fix-up a missing page stops the machine. The rule: user memory is reached by these two functions, which check and which
//! survive a fault; and not by these, but by those of `highmem` that rest on them ([`highmem::user`]), which are safe.
//!
//! With [`Faults::Handled`], a page that is missing, or shared, is brought in on the way; otherwise it is where the copy ends.

use core::arch::asm;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use highmem::copy::CopyBy;
use highmem::kernel::Faults;

use crate::kmap;
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
    let move_all = || unsafe { move_all(to, from, len) };
    let left = Current::get(|current| match current {
        // SAFETY: by this function's contract, the right to sleep is lent; the closure copies.
        Some(current) if faults == Faults::Handled => unsafe { current.lend(move_all) },
        _ => move_all(),
    });
    if faults == Faults::NotHandled && len > 0 {
        let count = if left == 0 { &WHOLE } else { &CUT_SHORT };
        count.fetch_add(1, Relaxed);
    }
    left
}

/// How copies went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Those that may not sleep, and did not have to.
    pub whole: u64,
    /// Those that may not sleep, and were cut short by a page that was not there, or could not be written.
    pub cut_short: u64,
    /// Pages that were brought in for those that may.
    pub brought_in: u64,
}

static WHOLE: AtomicU64 = AtomicU64::new(0);
static CUT_SHORT: AtomicU64 = AtomicU64::new(0);
static BROUGHT_IN: AtomicU64 = AtomicU64::new(0);

/// All copies so far.
pub fn stats() -> Stats {
    let [whole, cut_short, brought_in] = [&WHOLE, &CUT_SHORT, &BROUGHT_IN].map(|count| count.load(Relaxed));
    Stats { whole, cut_short, brought_in }
}

/// Counts a page that was brought in.
pub(super) fn count_brought_in() {
    BROUGHT_IN.fetch_add(1, Relaxed);
}

#[cfg(target_arch = "x86")]
macro_rules! by_mode {
    ($x86_32:literal, $x86_64:literal) => {
        $x86_32
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! by_mode {
    ($x86_32:literal, $x86_64:literal) => {
        $x86_64
    };
}

/// Copies, and gives how many bytes are left after a fault in user space: words and what is left of them, or bytes where the processor is fast
/// with them. There are no non-temporal stores: they have no counter that says how far they came, and what user space gets or gave is used
/// soon.
///
/// # Panics
///
/// After a fault in the kernel's memory: what survives one in user space would hide it.
///
/// # Safety
///
/// What is copied over may be written.
unsafe fn move_all(to: usize, from: usize, len: usize) -> usize {
    const WORD: usize = size_of::<usize>();
    if kmap::copy_by() == CopyBy::Bytes {
        // SAFETY: by this function's contract.
        return unsafe { move_bytes(to, from, len) };
    }
    // SAFETY: by this function's contract; the second copy goes on behind the first. Where that has met a fault in the middle of a word,
    // it copies the bytes before the fault, and meets it again.
    unsafe {
        let words = len / WORD;
        let done = (words - move_words(to, from, words)) * WORD;
        move_bytes(to + done, from + done, len - done)
    }
}

/// A function that copies by one instruction, and gives how many units of it are left after a fault in user space; a panic after one in the
/// kernel's memory.
macro_rules! moves {
    ($name:ident, $instruction:expr) => {
        unsafe fn $name(to: usize, from: usize, count: usize) -> usize {
            let (left, faulted, at): (usize, u32, usize);
            // SAFETY: by the caller's contract; after a fault, `ecx` says how many units are left, and the fix-up goes on behind the
            // instruction with eax and edx set. The compiler keeps `esi` for itself, and so cannot be told that it is used; `from` may
            // be in it.
            unsafe {
                asm!(
                    concat!("xchg ", by_mode!("esi", "rsi"), ", {from}"),
                    concat!("2: rep ", $instruction),
                    concat!("3: xchg ", by_mode!("esi", "rsi"), ", {from}"),
                    ".pushsection .ex_table, \"a\"",
                    ".long 2b - .",
                    ".long 3b - .",
                    ".popsection",
                    from = inout(reg) from => _,
                    inout("ecx") count => left,
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
    };
}

moves!(move_words, by_mode!("movsd", "movsq"));
moves!(move_bytes, "movsb");
