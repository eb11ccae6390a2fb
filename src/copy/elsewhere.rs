//! As `strings`, for targets that have no string instructions: each byte is read once and written once, by volatile accesses (I6). No kernel
//! runs there; code that is written for any kernel is compiled, and tested on a machine of its own.

use super::CopyBy;
use crate::paging::PAGE_SIZE;

/// Copies `len` bytes, upwards.
///
/// # Safety
/// `from` is readable and `to` is writable for `len` bytes, and there is no Rust reference that the copy contradicts: none to bytes that
/// are written, but for the caller's own, and no exclusive one to bytes that are read.
#[inline]
pub(crate) unsafe fn copy(_: CopyBy, to: *mut u8, from: *const u8, len: usize) {
    for at in 0..len {
        // SAFETY: I6: readable and writable, by the caller's promise.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}

/// As [`copy`], of a page. Gives `from` back.
///
/// # Safety
/// As for [`copy`].
#[inline]
pub(crate) unsafe fn copy_page(by: CopyBy, to: *mut u8, from: *const u8) -> *const u8 {
    // SAFETY: I6: by the caller's promise.
    unsafe { copy(by, to, from, PAGE_SIZE) };
    from
}

/// Writes `byte` to `len` bytes, upwards.
///
/// # Safety
/// As for [`copy`], for `to`.
#[inline]
pub(crate) unsafe fn fill(_: CopyBy, to: *mut u8, byte: u8, len: usize) {
    for at in 0..len {
        // SAFETY: I6: writable, by the caller's promise.
        unsafe { to.add(at).write_volatile(byte) };
    }
}
