//! Copies of memory that others may write at any time: user space, a device, another CPU.
//!
//! In C, `memcpy` from a user page may read a byte twice, and see two values: the length was checked with one and used with the
//! other.
//!
//! The rule (I6): each byte is read once and written once, and shared memory never becomes a Rust reference. The processor's own
//! instructions do that, and the compiler does not look into them. So memory that is ours is copied in the same way. Where each access
//! counts, which is at a device, it is done by volatile accesses.
//!
//! # By which instructions
//!
//! Which ones are the fastest depends on the processor, and on what becomes of the bytes: [`CopyBy`] names three ways, and the kernel
//! says which by [`Kernel::copy_by`](crate::Kernel::copy_by). C kernels patch their own code for that, when they start. Here, it is a value:
//! a constant costs nothing, not even a branch, and is what is provided; one that was found out at the start
//! ([`CopyBy::of_this_cpu`]) costs a load and a branch for each copy, and a few instructions around them.
//!
//! What may end in a fault has rules of its own, and is the kernel's: copies of user memory, and [`Kernel::copy_mc`](crate::Kernel::copy_mc).

use core::arch::asm;
use core::mem;
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

use crate::machine::cpuid;
use crate::paging::PAGE_SIZE;

/// By which instructions memory is copied and cleared: what [`Kernel::copy_by`](crate::Kernel::copy_by) gives.
///
/// The result is the same: each byte is read once and written once, and whoever sees a later store of this CPU sees all that was copied.
///
/// ```
/// use highmem::copy::{AtomicCopyBy, CopyBy};
///
/// static COPY_BY: AtomicCopyBy = AtomicCopyBy::new(CopyBy::Words);
///
/// /// Once, at the start, if all CPUs are alike.
/// fn init() {
///     COPY_BY.store(CopyBy::of_this_cpu());
/// }
///
/// /// For the kernel's `Kernel::copy_by`.
/// fn copy_by() -> CopyBy {
///     COPY_BY.load()
/// }
/// # init();
/// # copy_by();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum CopyBy {
    /// `rep movs` and `rep stos` of whole words, and then of the bytes that are left. Each processor has them (SDM vol. 1, 7.3.9.3).
    #[default]
    Words,
    /// `rep movsb` and `rep stosb` of all bytes. The fastest where the processor says so (ERMS and FSRM; SDM vol. 1, 7.3.9.3), and slow
    /// where it does not. Each processor has them.
    Bytes,
    /// Stores that do not bring what they write into the caches (`movnti`), for a whole page at once; shorter ones are by [`Words`](Self::Words).
    /// For pages that nobody reads soon, such as those that are cleared in advance, or go to a device: whoever does read them waits for the
    /// memory. It needs SSE2, of which it uses no register.
    NonTemporal,
}

impl CopyBy {
    /// What this processor says is the fastest: [`Bytes`](Self::Bytes) if it has fast ones, else [`Words`](Self::Words).
    ///
    /// [`NonTemporal`](Self::NonTemporal) is for the kernel to choose: no processor knows what becomes of the bytes.
    pub fn of_this_cpu() -> Self {
        if Self::Bytes.is_good_here() { Self::Bytes } else { Self::Words }
    }

    /// Whether this processor has it, and does not say that it is slow.
    pub fn is_good_here(self) -> bool {
        const FEATURES: u32 = 1;
        const SSE2: u32 = 1 << 26;
        const MORE_FEATURES: u32 = 7;
        const ERMS: u32 = 1 << 9;
        const FSRM: u32 = 1 << 4;
        match self {
            Self::Words => true,
            Self::Bytes => {
                let last = cpuid(0).eax;
                last >= MORE_FEATURES && {
                    let features = cpuid(MORE_FEATURES);
                    features.ebx & ERMS != 0 || features.edx & FSRM != 0
                }
            }
            Self::NonTemporal => cpuid(FEATURES).edx & SSE2 != 0,
        }
    }
}

/// A [`CopyBy`] that was found out, and is kept: its [`load`](Self::load) is one of the processor's, and nothing is compared before it is used.
#[derive(Debug)]
pub struct AtomicCopyBy(AtomicU8);

impl AtomicCopyBy {
    /// One that is `by` until there is another.
    pub const fn new(by: CopyBy) -> Self {
        Self(AtomicU8::new(by as u8))
    }

    /// Which it is.
    #[inline]
    pub fn load(&self) -> CopyBy {
        // SAFETY: I6: only `new` and `store` write the byte, and what they write is one.
        unsafe { mem::transmute::<u8, CopyBy>(self.0.load(Relaxed)) }
    }

    /// Makes it another, for the copies to come.
    #[inline]
    pub fn store(&self, by: CopyBy) {
        self.0.store(by as u8, Relaxed);
    }
}

/// What a step of a string instruction moves, as long as there are so many bytes.
type Word = usize;

/// What a turn of the loop of non-temporal stores moves.
const BLOCK: usize = 4 * size_of::<Word>();

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const LEN: usize = 40;
    const WAYS: [CopyBy; 3] = [CopyBy::Words, CopyBy::Bytes, CopyBy::NonTemporal];

    /// Every place and length within a small buffer, so that each mix of words and rest occurs, at each alignment, in each way.
    fn for_each_span(f: impl Fn(CopyBy, usize, usize)) {
        for by in WAYS {
            for at in 0..=LEN {
                for len in 0..=LEN - at {
                    f(by, at, len);
                }
            }
        }
    }

    #[test]
    fn copies_exactly_what_was_asked_for() {
        let from: Vec<u8> = (0..LEN as u8).collect();
        for_each_span(|by, at, len| {
            for place in 1..=size_of::<Word>() {
                let mut to = vec![0xee; place + len + 1];
                // SAFETY: I6: within `from` and `to`.
                unsafe { copy(by, to.as_mut_ptr().add(place), from.as_ptr().add(at), len) };
                assert_eq!(to[place..place + len], from[at..at + len]);
                assert_eq!((to[place - 1], to[place + len]), (0xee, 0xee), "outside of {at}+{len}");
            }
        });
    }

    #[test]
    fn fills_exactly_what_was_asked_for() {
        for_each_span(|by, at, len| {
            let mut to = vec![0xee; LEN + 1];
            // SAFETY: I6: within `to`.
            unsafe { fill(by, to.as_mut_ptr().add(at), 0x5a, len) };
            assert!(to[at..at + len].iter().all(|&byte| byte == 0x5a));
            assert!(to[..at].iter().chain(&to[at + len..]).all(|&byte| byte == 0xee), "outside of {at}+{len}");
        });
    }

    /// What is as long as a page, in each way, with each rest of a block.
    #[test]
    fn whole_pages_and_what_is_a_little_longer() {
        let from: Vec<u8> = (0..2 * PAGE_SIZE).map(|at| (at % 251) as u8 ^ (at >> 8) as u8).collect();
        for (by, more) in WAYS.into_iter().flat_map(|by| (0..=BLOCK).map(move |more| (by, more))) {
            for (len, at) in [PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + more].into_iter().zip([0, 1, more % 16, 8]) {
                let mut to = vec![0xee; at + len + 1];
                // SAFETY: I6: within `from` and `to`.
                unsafe { copy(by, to.as_mut_ptr().add(at), from.as_ptr().add(more), len) };
                assert!(to[at..at + len] == from[more..more + len], "{by:?}, {len} bytes");
                assert!(to[..at].iter().chain(&to[at + len..]).all(|&byte| byte == 0xee), "{by:?}, around {len} bytes");
                // SAFETY: I6: within `to`.
                unsafe { fill(by, to.as_mut_ptr().add(at), 0x5a, len) };
                assert!(to[at..at + len].iter().all(|&byte| byte == 0x5a), "{by:?}, {len} bytes filled");
                assert!(to[..at].iter().chain(&to[at + len..]).all(|&byte| byte == 0xee), "{by:?}, around {len} bytes");
            }
        }
    }

    proptest! {
        #[test]
        fn each_way_does_what_a_plain_copy_does(
            way in 0..WAYS.len(),
            bytes in prop::collection::vec(any::<u8>(), 2 * PAGE_SIZE + 64),
            (at, place, len) in (0..64_usize, 0..64_usize, 0..=2 * PAGE_SIZE),
            byte: u8,
        ) {
            let mut to = vec![0xee; 2 * PAGE_SIZE + 64];
            let mut expected = to.clone();
            // SAFETY: I6: within `bytes` and `to`.
            unsafe { copy(WAYS[way], to.as_mut_ptr().add(place), bytes.as_ptr().add(at), len) };
            expected[place..place + len].copy_from_slice(&bytes[at..at + len]);
            prop_assert!(to == expected, "copied by {:?}", WAYS[way]);
            // SAFETY: I6: within `to`.
            unsafe { fill(WAYS[way], to.as_mut_ptr().add(at), byte, len) };
            expected[at..at + len].fill(byte);
            prop_assert!(to == expected, "filled by {:?}", WAYS[way]);
        }

        /// The same bytes stay as they are; a target that begins below its source gets the source as it was, since all go upwards.
        #[test]
        fn each_way_goes_upwards(
            way in 0..WAYS.len(),
            bytes in prop::collection::vec(any::<u8>(), 2 * PAGE_SIZE),
            (at, below, len) in (0..64_usize, 0..64_usize, 0..=2 * PAGE_SIZE - 128),
        ) {
            let mut both = bytes.clone();
            let start = both.as_mut_ptr();
            // SAFETY: I6: within `both`.
            unsafe { copy(WAYS[way], start.add(at), start.add(at + below), len) };
            let mut expected = bytes;
            if below == 0 || below >= size_of::<Word>() {
                expected.copy_within(at + below..at + below + len, at);
                prop_assert!(both == expected, "by {:?}", WAYS[way]);
            }
        }
    }

    #[test]
    fn a_way_is_found_for_this_processor() {
        assert!(CopyBy::of_this_cpu().is_good_here() && CopyBy::Words.is_good_here());
        assert_ne!(CopyBy::of_this_cpu(), CopyBy::NonTemporal);
        assert_eq!(CopyBy::of_this_cpu() == CopyBy::Bytes, CopyBy::Bytes.is_good_here());
        #[cfg(target_arch = "x86_64")]
        assert!(CopyBy::NonTemporal.is_good_here());
        assert_eq!(CopyBy::default(), CopyBy::Words);
        for by in WAYS {
            let kept = AtomicCopyBy::new(CopyBy::Words);
            assert_eq!(kept.load(), CopyBy::Words);
            kept.store(by);
            assert_eq!((kept.load(), AtomicCopyBy::new(by).load()), (by, by));
        }
    }
}
