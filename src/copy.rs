//! Copies of memory that others may write at any time: user space, a device, another CPU.
//!
//! In C, `memcpy` from a user page may read a byte twice, and see two values: the length was checked with one and used with the
//! other.
//!
//! The rule (I6): each byte is read once and written once, and shared memory never becomes a Rust reference. The processor's string
//! instructions do that, they are as fast as it can (SDM vol. 1, 7.3.9.3), and the compiler does not look into them. So memory that is
//! ours is copied in the same way. Where each access counts, which is at a device, it is done by [`volatile`](crate::volatile).

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use core::arch::asm;

/// What one step of a string instruction moves.
type Word = usize;

/// Copies `len` bytes: whole words from the first byte on, and then what is left.
///
/// # Safety
/// `from` is readable and `to` is writable for `len` bytes, they do not overlap, and nobody else has a Rust reference that the copy
/// contradicts.
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    let (words, rest) = (len / size_of::<Word>(), len % size_of::<Word>());
    // SAFETY: reads and writes the words and the rest, which are the `len` bytes. The direction flag is clear on entry to `asm!`.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) rest,
            inout("rcx") words => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
    // SAFETY: as above. `esi` cannot be an operand, since the compiler may need it: it is exchanged for as long as it takes. The operands
    // are in registers that are named, since one that the compiler chooses may be `esi`.
    #[cfg(target_arch = "x86")]
    unsafe {
        asm!(
            "xchg esi, eax",
            "rep movsd",
            "mov ecx, edx",
            "rep movsb",
            "mov esi, eax",
            inout("eax") from => _,
            in("edx") rest,
            inout("ecx") words => _,
            inout("edi") to => _,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    for at in 0..words * size_of::<Word>() + rest {
        // SAFETY: within the `len` bytes.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}

/// Writes `byte` to `len` bytes: whole words from the first byte on, and then what is left.
///
/// # Safety
/// As for [`copy`], for `to`.
#[inline]
pub(crate) unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
    let (words, rest) = (len / size_of::<Word>(), len % size_of::<Word>());
    let pattern = Word::from_ne_bytes([byte; size_of::<Word>()]);
    // SAFETY: writes the words and the rest, which are the `len` bytes. The direction flag is clear on entry to `asm!`.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "rep stosq",
            "mov ecx, {rest:e}",
            "rep stosb",
            rest = in(reg) rest,
            inout("rcx") words => _,
            inout("rdi") to => _,
            in("rax") pattern,
            options(nostack, preserves_flags)
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "x86")]
    unsafe {
        asm!(
            "rep stosd",
            "mov ecx, {rest}",
            "rep stosb",
            rest = in(reg) rest,
            inout("ecx") words => _,
            inout("edi") to => _,
            in("eax") pattern,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    for at in 0..words * size_of::<Word>() + rest {
        // SAFETY: within the `len` bytes.
        unsafe { to.add(at).write_volatile(pattern as u8) };
    }
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
