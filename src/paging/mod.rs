//! Page-table entries: their format, and the order in which hardware may see them written.
//!
//! In C a page-table entry is an integer in an array, and nothing says that a page walker on the other side reads it at
//! any moment: compilers have dropped such stores, and a 64-bit entry written as two halves in the wrong order has sent
//! writes to a frame that nobody named.
//!
//! The rule (I10): every store to an entry is volatile. An entry becomes present by its last store and stops being
//! present by its first; a present entry is never overwritten.
//!
//! The types say it: a paging mode is a type that implements the sealed trait [`Paging`], the only writer of entries.
//! It has no operation that changes a live entry; there is only [`set`](Paging::set) on an empty one and
//! [`clear`](Paging::clear). Values are made from the `x86` crate's entry types and flags.

mod format;
#[cfg(target_pointer_width = "64")]
mod long;
mod non_pae;
mod pae;
mod pat;
mod tables;

#[cfg(target_pointer_width = "64")]
pub use long::Long;
pub use non_pae::NonPae;
pub use pae::Pae;
pub use pat::{MemoryType, Pat, PatIndex};
pub use tables::{Content, Flags, Layout, LayoutError, PageSize, Tables, Wrong};

use core::fmt::Debug;
use core::hash::Hash;

use format::bits32::paging::PTFlags;

use crate::machine::Machine;

/// The size of a page and of a page frame, in bytes.
pub const PAGE_SIZE: usize = 4096;

/// The base-2 logarithm of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// What a mapping allows, beyond reading, and how the processor treats it.
// Two scalars, so that it travels in registers, and the compiler goes on knowing what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection {
    /// The bits that PAE, 64-bit and plain 32-bit entries have at the same places.
    bits: u32,
    no_execute: bool,
}

impl Protection {
    /// The page may be written through the mapping, or not (with CR0.WP set, this binds the kernel as well: SDM vol. 3, 5.6.1). It is
    /// cached write-back, and instructions can be fetched.
    ///
    /// Accessed and dirty are set, so that the processor need not write the entry on first use.
    #[inline]
    pub const fn new(writable: bool) -> Self {
        let allowed = if writable { PTFlags::RW.bits() | PTFlags::D.bits() } else { 0 };
        Self { bits: PTFlags::P.bits() | PTFlags::A.bits() | allowed, no_execute: false }
    }

    /// Whether instructions cannot be fetched through the mapping. Needs EFER.NXE: without it the bit is reserved. Non-PAE entries have no
    /// such bit.
    #[inline]
    pub const fn no_execute(self, no_execute: bool) -> Self {
        Self { no_execute, ..self }
    }

    /// How the processor caches the page.
    #[inline]
    pub const fn cache(self, cache: PatIndex) -> Self {
        Self { bits: self.bits | cache.bits(), ..self }
    }

    /// Whether the page may be written.
    #[inline]
    pub(crate) const fn is_writable(self) -> bool {
        self.bits & PTFlags::RW.bits() != 0
    }

    /// What a [note](Paging::note) says of it.
    #[inline]
    const fn noted(self) -> u32 {
        self.bits & PTFlags::RW.bits() | NOTED
    }

    /// Whether the translation belongs to every address space (with CR4.PGE set: SDM vol. 3, 5.10.2.4).
    #[inline]
    pub const fn global(self, global: bool) -> Self {
        Self { bits: self.bits | (global as u32) << PTFlags::G.bits().trailing_zeros(), ..self }
    }
}

/// A paging mode: the format of its entries and how they are written. Sealed: [`NonPae`], [`Pae`], and
/// `Long` on 64-bit targets.
pub trait Paging: sealed::Sealed + Tables + Copy + Ord + Hash + Debug + 'static {
    /// How many bits a page frame number has at the most.
    const PFN_BITS: u32;

    /// How many entries one page table holds.
    const ENTRIES_PER_TABLE: usize;

    /// Whether CR4.PAE is set in this mode.
    const PAE: bool;

    /// Whether EFER.LMA is set in this mode.
    const LONG_MODE: bool;

    /// One entry, as it lies in memory.
    type Entry: Copy;

    /// Makes the entry that maps frame `pfn`.
    fn entry(pfn: usize, protection: Protection) -> Self::Entry;

    /// Whether `pte` maps nothing.
    ///
    /// # Safety
    /// `pte` points to an entry that only this caller writes.
    unsafe fn is_empty<M: Machine>(pte: *const Self::Entry) -> bool;

    /// A note of the frame that [`entry`](Self::entry) would map, and whether to be written: not present, and not empty. It is made and compared in
    /// fewer instructions than the entry.
    fn note(pfn: usize, protection: Protection) -> Self::Entry;

    /// Whether this note is `at`. No page walker has any use for what is there, so it is read as all memory is.
    ///
    /// # Safety
    /// `at` points to an entry that only this caller writes, and that is never present.
    unsafe fn is_note(at: *const Self::Entry, note: Self::Entry) -> bool;

    /// Writes `entry`, which is present, to the empty `pte`; hardware sees either nothing or all of it.
    ///
    /// # Safety
    /// `pte` points to an entry that only this caller writes, and that is empty.
    unsafe fn set<M: Machine>(pte: *mut Self::Entry, entry: Self::Entry);

    /// The frame that `pte` maps, and whether it may be written; `None` if it maps nothing.
    ///
    /// # Safety
    /// `pte` points to an entry of a page table. It may change meanwhile: the result was true at one moment.
    unsafe fn get<M: Machine>(pte: *const Self::Entry) -> Option<(usize, bool)>;

    /// Empties `pte`; hardware sees either the old entry or nothing. The translation may stay in the TLB.
    ///
    /// # Safety
    /// `pte` points to an entry that only this caller writes, and nobody uses what it maps.
    unsafe fn clear<M: Machine>(pte: *mut Self::Entry);

    /// As [`clear`](Self::clear), but `pte` is not empty yet: it says that its translation may still be in the TLB. For entries that
    /// somebody else may look at before that is forgotten; [`release`](Self::release) empties it.
    ///
    /// # Safety
    /// As [`clear`](Self::clear).
    unsafe fn retire<M: Machine>(pte: *mut Self::Entry);

    /// Empties a `pte` that was [retired](Self::retire), its translation being forgotten.
    ///
    /// # Safety
    /// As [`clear`](Self::clear).
    unsafe fn release<M: Machine>(pte: *mut Self::Entry);

    /// All that is in `pte`, whatever it is: also what is half written.
    ///
    /// # Safety
    /// `pte` points to an entry that nobody writes meanwhile.
    unsafe fn save<M: Machine>(pte: *const Self::Entry) -> u64;

    /// Puts back what [`save`](Self::save) has given. What was retired is empty.
    ///
    /// # Safety
    /// As [`set`](Self::set).
    unsafe fn restore<M: Machine>(pte: *mut Self::Entry, saved: u64);
}

/// An entry that maps nothing, and whose translation may still be in the TLB: a bit that the processor leaves to software (SDM vol. 3,
/// 5.3, 5.4), in an entry that is not present.
const RETIRED: u32 = 1 << 9;

/// In a note, beside the right to write, which is where an entry has it: there is one.
const NOTED: u32 = 1 << 2;

/// By how many bits the frame's number is shifted in a note, to be beside these: as many as an address can be shifted by.
const NOTE_SHIFT: u32 = 3;

/// Whether the part of an entry that has the present bit says so.
const fn is_present(low: u64) -> bool {
    low & PTFlags::P.bits() as u64 != 0
}

pub(crate) mod sealed {
    /// What nobody outside implements.
    pub trait Sealed {
        /// The pool of a model kernel in this mode, which is as large as a page table.
        #[cfg(all(feature = "model", target_os = "linux", target_arch = "x86_64"))]
        type ModelPool: crate::model::ModelPool;
    }
}
