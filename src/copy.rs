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

use core::mem;
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use crate::machine::cpuid;

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod strings;
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
#[path = "copy/elsewhere.rs"]
mod strings;

pub(crate) use strings::{copy, copy_page, fill};

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
    /// What this processor says is the fastest: [`Bytes`](Self::Bytes) if it has fast ones, else [`Words`](Self::Words). QEMU's TCG says that it
    /// has, and copies byte by byte: there it is [`Words`](Self::Words), too.
    ///
    /// [`NonTemporal`](Self::NonTemporal) is for the kernel to choose: no processor knows what becomes of the bytes.
    pub fn of_this_cpu() -> Self {
        if Self::Bytes.is_good_here() { Self::Bytes } else { Self::Words }
    }

    /// Whether this processor has it, and does not say that it is slow.
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    pub fn is_good_here(self) -> bool {
        self == Self::Words
    }

    /// Whether this processor has it, and does not say that it is slow.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
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
                    (features.ebx & ERMS != 0 || features.edx & FSRM != 0) && !is_tcg()
                }
            }
            Self::NonTemporal => cpuid(FEATURES).edx & SSE2 != 0,
        }
    }
}

/// Whether the processor is QEMU's emulator, by the leaf in which hypervisors say who they are.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn is_tcg() -> bool {
    const FEATURES: u32 = 1;
    const HYPERVISOR: u32 = 1 << 31;
    const WHICH: u32 = 0x4000_0000;
    let says = || [cpuid(WHICH).ebx, cpuid(WHICH).ecx, cpuid(WHICH).edx].map(u32::to_le_bytes);
    cpuid(FEATURES).ecx & HYPERVISOR != 0 && says() == [*b"TCGT", *b"CGTC", *b"GTCG"]
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

#[cfg(test)]
mod tests {
    use super::strings::{BLOCK, Word};
    use super::*;
    use crate::paging::PAGE_SIZE;
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
