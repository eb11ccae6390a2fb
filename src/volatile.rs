//! Copies between the memory of a device and memory that is ours.
//!
//! In C, `memcpy` from a device may read a byte twice, or in pieces of any size. The rule (I6): each byte is read or written exactly
//! once, by a volatile access of a word where the device's side is aligned, and never becomes a Rust reference.

use core::ptr;

/// What one access moves at most.
type Word = usize;

/// Copies from a device: a word at a time where `from` is aligned, a byte at a time at both ends.
///
/// # Safety
/// `from` and `to.len()` bytes after it are mapped and readable.
pub(crate) unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
    let (head, body) = split(from, to.len());
    let mut at = 0;
    while at < to.len() {
        // SAFETY: I6: mapped, by the caller's promise; a word is read only where it is aligned and lies within the length.
        unsafe {
            let source = from.add(at);
            if at >= head && at < head + body {
                let word = source.cast::<Word>().read_volatile();
                to.as_mut_ptr().add(at).cast::<Word>().write_unaligned(word);
                at += size_of::<Word>();
            } else {
                to[at] = source.read_volatile();
                at += 1;
            }
        }
    }
}

/// Copies to a device, as [`copy_out`] does from it.
///
/// # Safety
/// `to` and `from.len()` bytes after it are mapped and writable.
pub(crate) unsafe fn copy_in(to: *mut u8, from: &[u8]) {
    let (head, body) = split(to, from.len());
    let mut at = 0;
    while at < from.len() {
        // SAFETY: I6: mapped, by the caller's promise; a word is written only where it is aligned and lies within the length.
        unsafe {
            let target = to.add(at);
            if at >= head && at < head + body {
                let word = ptr::read_unaligned(from.as_ptr().add(at).cast::<Word>());
                target.cast::<Word>().write_volatile(word);
                at += size_of::<Word>();
            } else {
                target.write_volatile(from[at]);
                at += 1;
            }
        }
    }
}

/// How many bytes come before the first whole word of `len` bytes at `shared`, and how many bytes the whole words have.
fn split(shared: *const u8, len: usize) -> (usize, usize) {
    let head = shared.align_offset(size_of::<Word>()).min(len);
    (head, (len - head) / size_of::<Word>() * size_of::<Word>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const LEN: usize = 40;

    /// Every place and length within a small buffer, so that each mix of head, words and tail occurs.
    fn for_each_span(f: impl Fn(usize, usize)) {
        for at in 0..=LEN {
            for len in 0..=LEN - at {
                f(at, len);
            }
        }
    }

    #[test]
    fn copies_out_exactly_what_was_asked_for() {
        let shared: Vec<u8> = (0..LEN as u8).collect();
        for_each_span(|at, len| {
            let mut to = vec![0xee; len + 2];
            // SAFETY: I6: within `shared`.
            unsafe { copy_out(shared.as_ptr().add(at), &mut to[1..=len]) };
            assert_eq!(to[1..=len], shared[at..at + len]);
            assert_eq!((to[0], to[len + 1]), (0xee, 0xee), "outside of {at}+{len}");
        });
    }

    #[test]
    fn copies_in_exactly_what_was_asked_for() {
        let from: Vec<u8> = (0..LEN as u8).collect();
        for_each_span(|at, len| {
            let mut shared = vec![0xee; LEN];
            // SAFETY: I6: within `shared`.
            unsafe { copy_in(shared.as_mut_ptr().add(at), &from[..len]) };
            assert_eq!(shared[at..at + len], from[..len]);
            assert!(shared[..at].iter().chain(&shared[at + len..]).all(|&byte| byte == 0xee), "outside of {at}+{len}");
        });
    }

    #[test]
    fn whole_words_are_moved_as_words() {
        let shared = [0 as Word; 4];
        let start = shared.as_ptr().cast::<u8>();
        assert_eq!(split(start, 4 * size_of::<Word>()), (0, 4 * size_of::<Word>()));
        assert_eq!(split(start.wrapping_add(1), 2 * size_of::<Word>()), (size_of::<Word>() - 1, size_of::<Word>()));
        assert_eq!(split(start.wrapping_add(1), 2), (2, 0));
    }
}
