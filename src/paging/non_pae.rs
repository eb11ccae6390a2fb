//! 32-bit paging without PAE: 4-byte entries, written at once (SDM vol. 3, 5.3).

use super::format::bits32::paging::PTEntry;

use super::{NOTE_SHIFT, PAGE_SHIFT, Paging, Protection, RETIRED, is_present};
use crate::machine::Machine;

/// 32-bit paging: 1024 entries of 4 bytes a table, frames up to 4 GiB. It cannot forbid execution.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NonPae;

impl super::sealed::Sealed for NonPae {
    #[cfg(all(feature = "model", target_os = "linux", target_arch = "x86_64"))]
    type ModelPool = crate::pool::Pool<1024>;
}

impl Paging for NonPae {
    const PFN_BITS: u32 = 20;
    const ENTRIES_PER_TABLE: usize = 1024;
    const PAE: bool = false;
    const LONG_MODE: bool = false;
    type Entry = PTEntry;

    #[inline]
    fn entry(pfn: usize, protection: Protection) -> PTEntry {
        PTEntry((pfn as u32) << PAGE_SHIFT | protection.bits)
    }

    #[inline]
    fn note(pfn: usize, protection: Protection) -> PTEntry {
        PTEntry((pfn as u32) << NOTE_SHIFT | protection.noted())
    }

    #[inline]
    unsafe fn is_empty<M: Machine>(pte: *const PTEntry) -> bool {
        // SAFETY: I1: the entry is the caller's.
        unsafe { M::read(pte.cast::<u32>()) == 0 }
    }

    #[inline]
    unsafe fn is_note(at: *const PTEntry, PTEntry(note): PTEntry) -> bool {
        // SAFETY: I1: the entry is the caller's.
        unsafe { *at.cast::<u32>() == note }
    }

    #[inline]
    unsafe fn set<M: Machine>(pte: *mut PTEntry, PTEntry(entry): PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u32>(), entry) }
    }

    unsafe fn get<M: Machine>(pte: *const PTEntry) -> Option<(usize, bool)> {
        // SAFETY: I10: one load.
        let entry = PTEntry(unsafe { M::read(pte.cast::<u32>()) });
        entry.is_present().then(|| ((entry.0 >> PAGE_SHIFT) as usize, entry.is_writeable()))
    }

    #[inline]
    unsafe fn clear<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u32>(), 0) }
    }

    #[inline]
    unsafe fn retire<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u32>(), RETIRED) }
    }

    #[inline]
    unsafe fn release<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u32>(), 0) }
    }

    unsafe fn save<M: Machine>(pte: *const PTEntry) -> u64 {
        // SAFETY: I10: one load.
        unsafe { M::read(pte.cast::<u32>()).into() }
    }

    unsafe fn restore<M: Machine>(pte: *mut PTEntry, saved: u64) {
        if is_present(saved) {
            // SAFETY: I1: the entry is the caller's. I10: one store.
            unsafe { M::write(pte.cast::<u32>(), saved as u32) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pfn;
    use crate::machine::recorder::{Event::*, Recorder};
    use crate::paging::{MemoryType, Pat};

    const READ_WRITE: Protection = Protection::new(true).no_execute(true);
    const READ_ONLY: Protection = Protection::new(false).no_execute(true);

    #[test]
    fn an_entry_has_no_bit_against_execution() {
        assert_eq!(NonPae::entry(0xf_ffff, READ_WRITE).0, 0xffff_f063);
        assert_eq!(NonPae::entry(0x1_2345, READ_ONLY).0, 0x1234_5021);
    }

    #[test]
    fn an_entry_says_how_it_is_cached() {
        let cache = Pat::POWER_ON.index_of(MemoryType::Uncached);
        assert_eq!(NonPae::entry(1, READ_ONLY.cache(cache)).0, 0x1039);
    }

    #[test]
    fn an_entry_is_written_at_once() {
        let mut pte = PTEntry(0);
        let at = &raw const pte as usize;
        let events = Recorder::record(|| {
            // SAFETY: I1: `pte` is this test's own, and empty.
            unsafe {
                NonPae::set::<Recorder>(&mut pte, NonPae::entry(7, READ_ONLY));
                assert!(!NonPae::is_empty::<Recorder>(&pte));
                NonPae::clear::<Recorder>(&mut pte);
                assert!(NonPae::is_empty::<Recorder>(&pte));
            }
        });
        assert_eq!(events, [Write(at, 0x7021), Write(at, 0)]);
    }

    #[test]
    fn frames_end_at_4_gib() {
        assert!(Pfn::<NonPae>::new(0xf_ffff).is_ok());
        assert!(Pfn::<NonPae>::new(0x10_0000).is_err());
    }
}
