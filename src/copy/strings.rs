//! The copies themselves, by the processor's own instructions.

use core::arch::asm;

use super::CopyBy;
use crate::paging::PAGE_SIZE;

/// What a step of a string instruction moves, as long as there are so many bytes.
pub(super) type Word = usize;

/// What a turn of the loop of non-temporal stores moves.
pub(super) const BLOCK: usize = 4 * size_of::<Word>();

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

// `esi` cannot be named as an operand, since the compiler may need it for itself: it is exchanged for as long as it takes. If the compiler
// chooses it, nothing is exchanged, and it is right as well.
#[cfg(target_arch = "x86")]
macro_rules! movs {
    ($size:literal, $to:ident, $from:ident, $steps:expr) => {
        asm!(
            "xchg esi, {from}",
            concat!("rep movs", $size),
            "xchg esi, {from}",
            from = inout(reg) $from,
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

/// Stores past the caches: the loop over what is between the two pointers' ends, a block at a time. `$at` runs from minus the length to zero.
/// In the end, the stores become visible before any that follows: those of `movnti` are not ordered otherwise (SDM vol. 1, 11.4.4.3; vol. 3,
/// 10.2.2).
macro_rules! stream {
    ($load:literal, $at:ident, $($operands:tt)*) => {
        asm!(
            "2:",
            $load,
            "add {at}, {block}",
            "jnz 2b",
            "sfence",
            at = inout(reg) $at => _,
            block = const BLOCK,
            $($operands)*
            options(nostack)
        )
    };
}

/// Copies `len` bytes, upwards.
///
/// Two pages that others may write can be one frame, so the two ranges may be the same bytes, at one address or at two, or overlap. If
/// they are the same, they stay as they are. If they overlap in part, some of the bytes that are copied are copies already.
///
/// # Safety
/// `from` is readable and `to` is writable for `len` bytes, and there is no Rust reference that the copy contradicts: none to bytes that
/// are written, but for the caller's own, and no exclusive one to bytes that are read. The processor has the instructions.
#[inline]
pub(crate) unsafe fn copy(by: CopyBy, mut to: *mut u8, mut from: *const u8, len: usize) {
    // SAFETY: I6: moves the `len` bytes. The direction flag is clear on entry to `asm!`. If others write them meanwhile, that is no race between
    // accesses of Rust's: the compiler knows nothing of what is moved here.
    unsafe {
        match by {
            CopyBy::Bytes => movs!("b", to, from, len),
            CopyBy::NonTemporal if len >= PAGE_SIZE => {
                let whole = len - len % BLOCK;
                copy_past_caches(to, from, whole);
                return copy_words(to.wrapping_add(whole), from.wrapping_add(whole), len - whole);
            }
            CopyBy::Words | CopyBy::NonTemporal => return copy_words(to, from, len),
        }
    }
    let _ = (to, from);
}

/// As [`copy`], of a page. Gives `from` back, out of the register in which it comes out of the copy: who needs it afterwards need not keep it
/// in another.
///
/// # Safety
/// As for [`copy`].
#[inline]
pub(crate) unsafe fn copy_page(by: CopyBy, mut to: *mut u8, mut from: *const u8) -> *const u8 {
    // SAFETY: I6: as in `copy`.
    unsafe {
        match by {
            CopyBy::Bytes => movs!("b", to, from, PAGE_SIZE),
            CopyBy::NonTemporal => {
                copy_past_caches(to, from, PAGE_SIZE);
                return from;
            }
            #[cfg(target_arch = "x86_64")]
            CopyBy::Words => movs!("q", to, from, PAGE_SIZE / size_of::<Word>()),
            #[cfg(target_arch = "x86")]
            CopyBy::Words => movs!("d", to, from, PAGE_SIZE / size_of::<Word>()),
        }
    }
    let _ = to;
    from.wrapping_sub(PAGE_SIZE)
}

/// As [`copy`]: whole words from the first byte on, and then what is left.
#[inline]
unsafe fn copy_words(mut to: *mut u8, mut from: *const u8, len: usize) {
    let (words, rest) = (len / size_of::<Word>(), len % size_of::<Word>());
    // SAFETY: I6: as in `copy`; the words and the rest are the `len` bytes.
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

/// As [`copy`], of whole blocks, of which there is one at least.
///
/// A function of its own: its loop takes registers, and who can choose other ways, too, has better use for them there.
#[inline(never)]
unsafe fn copy_past_caches(to: *mut u8, from: *const u8, len: usize) {
    let at = len.wrapping_neg();
    // SAFETY: I6: as in `copy`; `at` goes up from minus the length in blocks, and ends at zero.
    unsafe {
        stream!(
            "mov {word}, [{from} + {at}]
             movnti [{to} + {at}], {word}
             mov {word}, [{from} + {at} + {size}]
             movnti [{to} + {at} + {size}], {word}
             mov {word}, [{from} + {at} + 2 * {size}]
             movnti [{to} + {at} + 2 * {size}], {word}
             mov {word}, [{from} + {at} + 3 * {size}]
             movnti [{to} + {at} + 3 * {size}], {word}",
            at,
            from = in(reg) from.wrapping_add(len),
            to = in(reg) to.wrapping_add(len),
            word = out(reg) _,
            size = const size_of::<Word>(),
        );
    }
}

/// Writes `byte` to `len` bytes, upwards.
///
/// # Safety
/// As for [`copy`], for `to`.
#[inline]
pub(crate) unsafe fn fill(by: CopyBy, mut to: *mut u8, byte: u8, len: usize) {
    let pattern = Word::from_ne_bytes([byte; size_of::<Word>()]);
    // SAFETY: I6: as in `copy`.
    unsafe {
        match by {
            CopyBy::Bytes => stos!("b", to, pattern, len),
            CopyBy::NonTemporal if len >= PAGE_SIZE => {
                let whole = len - len % BLOCK;
                fill_past_caches(to, pattern, whole);
                return fill_words(to.wrapping_add(whole), pattern, len - whole);
            }
            CopyBy::Words | CopyBy::NonTemporal => return fill_words(to, pattern, len),
        }
    }
    let _ = to;
}

/// As [`fill`]: whole words from the first byte on, and then what is left.
#[inline]
unsafe fn fill_words(mut to: *mut u8, pattern: Word, len: usize) {
    let (words, rest) = (len / size_of::<Word>(), len % size_of::<Word>());
    // SAFETY: I6: as in `copy`; the words and the rest are the `len` bytes.
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

/// As [`fill`], of whole blocks, of which there is one at least. A function of its own, as [`copy_past_caches`].
#[inline(never)]
unsafe fn fill_past_caches(to: *mut u8, pattern: Word, len: usize) {
    let at = len.wrapping_neg();
    // SAFETY: I6: as in `copy_past_caches`.
    unsafe {
        stream!(
            "movnti [{to} + {at}], {pattern}
             movnti [{to} + {at} + {size}], {pattern}
             movnti [{to} + {at} + 2 * {size}], {pattern}
             movnti [{to} + {at} + 3 * {size}], {pattern}",
            at,
            to = in(reg) to.wrapping_add(len),
            pattern = in(reg) pattern,
            size = const size_of::<Word>(),
        );
    }
}
