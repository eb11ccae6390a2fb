//! 64-bit paging, with 4 or 5 levels: 8-byte entries, written at once (SDM vol. 3, 5.5).

use super::format::bits64::paging::PTEntry;

use super::{NOTE_SHIFT, Paging, Protection, RETIRED, is_present, pae};
use crate::machine::Machine;

/// 64-bit paging: 512 entries of 8 bytes a table, frames up to 4 PiB. How many levels there are above the tables makes no
/// difference here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Long;

impl super::sealed::Sealed for Long {
    #[cfg(all(feature = "model", target_os = "linux", target_arch = "x86_64"))]
    type ModelPool = crate::pool::Pool<512>;
}

impl Paging for Long {
    const PFN_BITS: u32 = 40;
    const ENTRIES_PER_TABLE: usize = 512;
    const PAE: bool = true;
    const LONG_MODE: bool = true;
    type Entry = PTEntry;

    #[inline]
    fn entry(pfn: usize, protection: Protection) -> PTEntry {
        pae::wide_entry(pfn, protection)
    }

    #[inline]
    fn note(pfn: usize, protection: Protection) -> PTEntry {
        PTEntry((pfn as u64) << NOTE_SHIFT | u64::from(protection.noted()))
    }

    #[inline]
    unsafe fn is_empty<M: Machine>(pte: *const PTEntry) -> bool {
        // SAFETY: I1: the entry is the caller's.
        unsafe { M::read(pte.cast::<u64>()) == 0 }
    }

    #[inline]
    unsafe fn is_note(at: *const PTEntry, PTEntry(note): PTEntry) -> bool {
        // SAFETY: I1: the entry is the caller's.
        unsafe { *at.cast::<u64>() == note }
    }

    #[inline]
    unsafe fn set<M: Machine>(pte: *mut PTEntry, PTEntry(entry): PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u64>(), entry) }
    }

    unsafe fn get<M: Machine>(pte: *const PTEntry) -> Option<(usize, bool)> {
        // SAFETY: I10: one load.
        pae::wide_frame(unsafe { M::read(pte.cast::<u64>()) })
    }

    #[inline]
    unsafe fn clear<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u64>(), 0) }
    }

    #[inline]
    unsafe fn retire<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u64>(), RETIRED.into()) }
    }

    #[inline]
    unsafe fn release<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's. I10: one store.
        unsafe { M::write(pte.cast::<u64>(), 0) }
    }

    unsafe fn save<M: Machine>(pte: *const PTEntry) -> u64 {
        // SAFETY: I10: one load.
        unsafe { M::read(pte.cast::<u64>()) }
    }

    unsafe fn restore<M: Machine>(pte: *mut PTEntry, saved: u64) {
        if is_present(saved) {
            // SAFETY: I1: the entry is the caller's. I10: one store.
            unsafe { M::write(pte.cast::<u64>(), saved) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pfn;
    use crate::machine::recorder::{Event::*, Recorder};
    use x86::bits64::paging::PTFlags;

    const RW_NX: Protection = Protection::new(true).no_execute(true);
    const RO_X: Protection = Protection::new(false).no_execute(false);

    #[test]
    fn an_entry_reaches_all_frames() {
        assert_eq!(Long::entry(0xff_ffff_ffff, RW_NX).0, 0x800f_ffff_ffff_f063);
        assert_eq!(Long::entry(1, RO_X).flags(), PTFlags::P | PTFlags::A);
    }

    #[test]
    fn an_entry_is_written_at_once() {
        let mut pte = PTEntry(0);
        let at = &raw const pte as usize;
        let events = Recorder::record(|| {
            // SAFETY: I1: `pte` is this test's own, and empty.
            unsafe {
                Long::set::<Recorder>(&mut pte, Long::entry(0x12_3456_7890, RO_X));
                assert!(!Long::is_empty::<Recorder>(&pte));
                Long::clear::<Recorder>(&mut pte);
                assert!(Long::is_empty::<Recorder>(&pte));
            }
        });
        assert_eq!(events, [Write(at, 0x1_2345_6789_0021), Write(at, 0)]);
    }

    #[test]
    fn frames_end_at_4_pib() {
        assert!(Pfn::<Long>::new(0xff_ffff_ffff).is_ok());
        assert!(Pfn::<Long>::new(0x100_0000_0000).is_err());
    }
}
