//! Copies of memory that others may write at any time: user space, a device, another CPU.
//!
//! In C, `memcpy` from a user page may read a byte twice, and see two values: the length was checked with one and used with the
//! other.
//!
//! The rule (I6): each byte is read once and written once, and shared memory never becomes a Rust reference. The processor's string
//! instructions do that, they are as fast as it can (SDM vol. 1, 7.3.9.3), and the compiler does not look into them. So memory that is
//! ours is copied in the same way. Where each access counts, which is at a device, it is done by [`volatile`](crate::volatile).

use core::arch::asm;

/// What a step of a string instruction moves, as long as there are so many bytes.
type Word = usize;

/// `rep movs`: so many steps of this size, upwards. Advances both pointers.
#[cfg(target_arch = "x86_64")]
macro_rules! movs {
    ($size:literal, $to:ident, $from:ident, $steps:expr) => {
        asm!(
            concat!("rep movs", $size),
            inout("rcx") $steps => _,
            inout("rdi") $to,
            inout("rsi") $from,
            options(nostack, preserves_flags)
        )
    };
}

// `esi` cannot be an operand, since the compiler may need it for itself: it is exchanged for as long as it takes. The operands are in
// registers that are named, since one that the compiler chooses may be `esi`.
#[cfg(target_arch = "x86")]
macro_rules! movs {
    ($size:literal, $to:ident, $from:ident, $steps:expr) => {
        asm!(
            "xchg esi, eax",
            concat!("rep movs", $size),
            "xchg esi, eax",
            inout("eax") $from,
            inout("ecx") $steps => _,
            inout("edi") $to,
            options(nostack, preserves_flags)
        )
    };
}

/// `rep stos`: so many steps of this size, upwards. Advances the pointer.
#[cfg(target_arch = "x86_64")]
macro_rules! stos {
    ($size:literal, $to:ident, $pattern:ident, $steps:expr) => {
        asm!(
            concat!("rep stos", $size),
            inout("rcx") $steps => _,
            inout("rdi") $to,
            in("rax") $pattern,
            options(nostack, preserves_flags)
        )
    };
}

#[cfg(target_arch = "x86")]
macro_rules! stos {
    ($size:literal, $to:ident, $pattern:ident, $steps:expr) => {
        asm!(
            concat!("rep stos", $size),
            inout("ecx") $steps => _,
            inout("edi") $to,
            in("eax") $pattern,
            options(nostack, preserves_flags)
        )
    };
}

/// Copies `len` bytes: whole words from the first byte on, upwards, and then what is left.
///
/// Two pages that others may write can be one frame, so the two ranges may be the same bytes, at one address or at two, or overlap. If
/// they are the same, they stay as they are. If they overlap in part, some of the bytes that are copied are copies already.
///
/// # Safety
/// `from` is readable and `to` is writable for `len` bytes, and there is no Rust reference that the copy contradicts: none to bytes that
/// are written, but for the caller's own, and no exclusive one to bytes that are read.
#[inline]
pub(crate) unsafe fn copy(mut to: *mut u8, mut from: *const u8, len: usize) {
    let (words, rest) = (len / size_of::<Word>(), len % size_of::<Word>());
    // SAFETY: I6: moves the words and the rest, which are the `len` bytes. The direction flag is clear on entry to `asm!`. If others write
    // them meanwhile, that is no race between accesses of Rust's: the compiler knows nothing of what is moved here.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        movs!("q", to, from, words);
        #[cfg(target_arch = "x86")]
        movs!("d", to, from, words);
        if rest > 0 {
            movs!("b", to, from, rest);
        }
    }
    let _ = (to, from);
}

/// Writes `byte` to `len` bytes: whole words from the first byte on, upwards, and then what is left.
///
/// # Safety
/// As for [`copy`], for `to`.
#[inline]
pub(crate) unsafe fn fill(mut to: *mut u8, byte: u8, len: usize) {
    let (words, rest) = (len / size_of::<Word>(), len % size_of::<Word>());
    let pattern = Word::from_ne_bytes([byte; size_of::<Word>()]);
    // SAFETY: I6: as in `copy`.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        stos!("q", to, pattern, words);
        #[cfg(target_arch = "x86")]
        stos!("d", to, pattern, words);
        if rest > 0 {
            stos!("b", to, pattern, rest);
        }
    }
    let _ = to;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const LEN: usize = 40;

    /// Every place and length within a small buffer, so that each mix of words and rest occurs, at each alignment.
    fn for_each_span(f: impl Fn(usize, usize)) {
        for at in 0..=LEN {
            for len in 0..=LEN - at {
                f(at, len);
            }
        }
    }

    #[test]
    fn copies_exactly_what_was_asked_for() {
        let from: Vec<u8> = (0..LEN as u8).collect();
        for_each_span(|at, len| {
            for place in 1..=size_of::<Word>() {
                let mut to = vec![0xee; place + len + 1];
                // SAFETY: I6: within `from` and `to`.
                unsafe { copy(to.as_mut_ptr().add(place), from.as_ptr().add(at), len) };
                assert_eq!(to[place..place + len], from[at..at + len]);
                assert_eq!((to[place - 1], to[place + len]), (0xee, 0xee), "outside of {at}+{len}");
            }
        });
    }

    #[test]
    fn fills_exactly_what_was_asked_for() {
        for_each_span(|at, len| {
            let mut to = vec![0xee; LEN + 1];
            // SAFETY: I6: within `to`.
            unsafe { fill(to.as_mut_ptr().add(at), 0x5a, len) };
            assert!(to[at..at + len].iter().all(|&byte| byte == 0x5a));
            assert!(to[..at].iter().chain(&to[at + len..]).all(|&byte| byte == 0xee), "outside of {at}+{len}");
        });
    }
}
