//! PAE: 8-byte entries, written by a 32-bit processor as two halves (SDM vol. 3, 5.4.2).

use super::format::bits64::paging::{PTEntry, PTFlags};

use super::{PAGE_SHIFT, Paging, Protection, RETIRED, is_present};
use crate::machine::Machine;

/// 32-bit paging with physical-address extension: 512 entries of 8 bytes a table, frames up to 16 TiB.
///
/// Linux stops at the same 44 physical-address bits: a frame number is one 32-bit word (`__PHYSICAL_MASK_SHIFT` of its 32-bit PAE
/// kernels). The first processors with PAE had 36, and how many this one has says
/// [`X86::physical_address_bits`](crate::machine::X86::physical_address_bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pae;

/// The half with the present bit; on a little-endian machine the first.
const LOW: usize = 0;
const HIGH: usize = 1;

impl super::sealed::Sealed for Pae {
    #[cfg(all(feature = "model", target_os = "linux", target_arch = "x86_64"))]
    type ModelPool = crate::pool::Pool<512>;
}

impl Paging for Pae {
    const PFN_BITS: u32 = 32;
    const ENTRIES_PER_TABLE: usize = 512;
    const PAE: bool = true;
    const LONG_MODE: bool = false;
    type Entry = PTEntry;

    #[inline]
    fn entry(pfn: usize, protection: Protection) -> PTEntry {
        wide_entry(pfn, protection)
    }

    #[inline]
    fn note(pfn: usize, protection: Protection) -> PTEntry {
        // The number as it is: only the low half has a bit that must stay clear.
        PTEntry((pfn as u64) << 32 | u64::from(protection.noted()))
    }

    #[inline]
    unsafe fn is_empty<M: Machine>(pte: *const PTEntry) -> bool {
        // SAFETY: I1: the entry is the caller's; the low half lies in the entry. It holds the present bit, and `clear` zeroes all
        // of it, so it alone tells (I3).
        unsafe { M::read(pte.cast::<u32>().add(LOW)) == 0 }
    }

    #[inline]
    unsafe fn is_note(at: *const PTEntry, PTEntry(note): PTEntry) -> bool {
        let halves = at.cast::<u32>();
        // SAFETY: I1: the entry is the caller's, and both halves lie in it.
        unsafe { *halves.add(LOW) == note as u32 && *halves.add(HIGH) == (note >> 32) as u32 }
    }

    #[inline]
    unsafe fn set<M: Machine>(pte: *mut PTEntry, PTEntry(entry): PTEntry) {
        let halves = pte.cast::<u32>();
        // SAFETY: I1: the entry is the caller's, and both halves lie in it. I10: the present bit arrives last, with a high half
        // that is already the new one.
        unsafe {
            M::write(halves.add(HIGH), (entry >> 32) as u32);
            M::write(halves.add(LOW), entry as u32);
        }
    }

    unsafe fn get<M: Machine>(pte: *const PTEntry) -> Option<(usize, bool)> {
        let halves = pte.cast::<u32>();
        loop {
            // SAFETY: I10: reading changes nothing, and both halves lie in the entry.
            let [low, high, again] = unsafe { [LOW, HIGH, LOW].map(|half| M::read(halves.add(half))) };
            if low == again {
                return wide_frame(u64::from(high) << 32 | u64::from(low));
            }
        }
    }

    #[inline]
    unsafe fn clear<M: Machine>(pte: *mut PTEntry) {
        let halves = pte.cast::<u32>();
        // SAFETY: I1: the entry is the caller's, and both halves lie in it. I10: the present bit goes first, so that no walk
        // combines the old low half with another high half.
        unsafe {
            M::write(halves.add(LOW), 0);
            M::write(halves.add(HIGH), 0);
        }
    }

    #[inline]
    unsafe fn retire<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1: the entry is the caller's, and the low half lies in it. I10: what the high half has is of no use without it, and is
        // overwritten before it is.
        unsafe { M::write(pte.cast::<u32>().add(LOW), RETIRED) }
    }

    #[inline]
    unsafe fn release<M: Machine>(pte: *mut PTEntry) {
        // SAFETY: I1, I10: as in `retire`.
        unsafe { M::write(pte.cast::<u32>().add(LOW), 0) }
    }

    unsafe fn save<M: Machine>(pte: *const PTEntry) -> u64 {
        // SAFETY: I10: reading changes nothing, and both halves lie in the entry.
        let [low, high] = unsafe { [LOW, HIGH].map(|half| M::read(pte.cast::<u32>().add(half))) };
        u64::from(high) << 32 | u64::from(low)
    }

    unsafe fn restore<M: Machine>(pte: *mut PTEntry, saved: u64) {
        let halves = pte.cast::<u32>();
        // SAFETY: I1: the entry is the caller's, and both halves lie in it. I10: as in `set`. Whoever was about to write the low half has
        // written the high one, and finds it as it was.
        unsafe {
            M::write(halves.add(HIGH), (saved >> 32) as u32);
            if is_present(saved) {
                M::write(halves.add(LOW), saved as u32);
            }
        }
    }
}

/// The entry of 8 bytes that maps frame `pfn`: the same with PAE and in 64-bit mode.
#[inline]
pub(super) fn wide_entry(pfn: usize, protection: Protection) -> PTEntry {
    // A shift instead of a choice: what the kernel asks its processor is not known when this is compiled.
    let no_execute = u64::from(protection.no_execute) << PTFlags::XD.bits().trailing_zeros();
    PTEntry((pfn as u64) << PAGE_SHIFT | u64::from(protection.bits) | no_execute)
}

/// What an entry of 8 bytes maps: the reverse of [`wide_entry`].
pub(super) fn wide_frame(entry: u64) -> Option<(usize, bool)> {
    let entry = PTEntry(entry);
    entry.is_present().then(|| ((entry.address().as_u64() >> PAGE_SHIFT) as usize, entry.is_writeable()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::recorder::{Event::*, Recorder};
    use crate::paging::{MemoryType, Pat};

    const RW_NX: Protection = Protection::new(true).no_execute(true);
    const RO_X: Protection = Protection::new(false).no_execute(false);

    #[test]
    fn an_entry_above_4_gib_uses_both_halves() {
        assert_eq!(Pae::entry(0x12_3456, RW_NX).0, 0x8000_0001_2345_6063);
    }

    #[test]
    fn a_read_only_entry_is_neither_writable_nor_dirty() {
        let flags = Pae::entry(1, RO_X).flags();
        assert_eq!(flags, PTFlags::P | PTFlags::A);
    }

    #[test]
    fn an_entry_says_how_it_is_cached() {
        let cache = Pat::ALL_TYPES.index_of(MemoryType::WriteThrough);
        assert_eq!(Pae::entry(1, RO_X.cache(cache)).0, 0x10b9);
    }

    #[test]
    fn set_writes_the_high_half_first() {
        let mut pte = PTEntry(0);
        // SAFETY: I1: `pte` is this test's own, and empty.
        let events = Recorder::record(|| unsafe { Pae::set::<Recorder>(&mut pte, Pae::entry(0x10_0007, RW_NX)) });
        let low = &raw const pte as usize;
        assert_eq!(events, [Write(low + 4, 0x8000_0001), Write(low, 0x0000_7063)]);
        assert_eq!(pte.0, Pae::entry(0x10_0007, RW_NX).0);
    }

    #[test]
    fn clear_writes_the_low_half_first() {
        let mut pte = Pae::entry(0x10_0007, RW_NX);
        // SAFETY: I1: `pte` is this test's own.
        let events = Recorder::record(|| unsafe { Pae::clear::<Recorder>(&mut pte) });
        let low = &raw const pte as usize;
        assert_eq!(events, [Write(low, 0), Write(low + 4, 0)]);
        assert_eq!(pte.0, 0);
    }

    #[test]
    fn empty_is_told_by_the_low_half() {
        let mut pte = Pae::entry(0x10_0000, RO_X);
        // SAFETY: I1: `pte` is this test's own.
        assert!(unsafe { !Pae::is_empty::<Recorder>(&pte) });
        // SAFETY: I1: `pte` is this test's own.
        unsafe { Pae::clear::<Recorder>(&mut pte) };
        // SAFETY: I1: `pte` is this test's own.
        assert!(unsafe { Pae::is_empty::<Recorder>(&pte) });
    }
}
