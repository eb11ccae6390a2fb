//! What a CPU remembers of the page tables, at its worst.
//!
//! A processor may fetch a translation as soon as its entry is present, and need not forget it before it is told to (SDM vol. 3,
//! 5.10.2.3). This one always does the first, and never forgets without being told. So what may go wrong on a processor, some day,
//! goes wrong here, each time.

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::paging::MemoryType;

/// What an entry says about a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The number of the frame.
    pub pfn: u64,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether instructions may be fetched from it.
    pub executable: bool,
    /// Whether it belongs to all address spaces: the bit G.
    pub global: bool,
    /// How it is cached.
    pub memory_type: MemoryType,
}

/// An entry that a processor refuses: a reserved bit is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reserved;

impl Translation {
    /// What the entry `raw` of 4 or 8 bytes says to a processor whose EFER.NXE is `no_execute` and whose IA32_PAT is `pat`; `None`
    /// if it is not present.
    pub(super) fn decode(raw: u64, size: usize, no_execute: bool, pat: u64) -> Result<Option<Self>, Reserved> {
        let bit = |bit: u32| raw >> bit & 1 != 0;
        if !bit(0) {
            return Ok(None);
        }
        let forbids_execution = size == size_of::<u64>() && bit(63);
        if forbids_execution && !no_execute {
            return Err(Reserved);
        }
        let index = raw >> 3 & 0b11 | (raw >> 7 & 1) << 2;
        let memory_type = match pat >> (index * 8) & 0xff {
            0 => MemoryType::Uncached,
            1 => MemoryType::WriteCombining,
            4 => MemoryType::WriteThrough,
            5 => MemoryType::WriteProtected,
            6 => MemoryType::WriteBack,
            _ => MemoryType::UncachedMinus,
        };
        Ok(Some(Self {
            pfn: (raw & 0x000f_ffff_ffff_f000) >> 12,
            writable: bit(1),
            executable: !forbids_execution,
            global: bit(8),
            memory_type,
        }))
    }

    /// Whether whoever has this cached sees what the entry `now` says.
    pub(super) fn agrees_with(self, now: Option<Self>) -> bool {
        now.is_some_and(|now| Self { global: self.global, ..now } == self)
    }
}

/// A translation that is cached, and when it was fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cached {
    pub(super) translation: Translation,
    pub(super) age: u64,
}

/// The translations that a CPU has cached: by page and address space, or for all address spaces.
#[derive(Debug, Default)]
pub(super) struct Tlb {
    pcid: u16,
    cached: BTreeMap<(usize, Option<u16>), Cached>,
}

impl Tlb {
    /// What the CPU takes the page for.
    pub(super) fn lookup(&self, page: usize) -> Option<Cached> {
        self.cached.get(&(page, None)).or_else(|| self.cached.get(&(page, Some(self.pcid)))).copied()
    }

    /// Fetches the translation of a page, if there is none.
    pub(super) fn fill(&mut self, page: usize, translation: Translation, age: u64) {
        if self.lookup(page).is_none() {
            let space = (!translation.global).then_some(self.pcid);
            self.cached.insert((page, space), Cached { translation, age });
        }
    }

    /// `invlpg`: forgets the page in this address space, and where it is global (SDM vol. 3, 5.10.4.1).
    pub(super) fn forget(&mut self, page: usize) {
        self.cached.remove(&(page, None));
        self.cached.remove(&(page, Some(self.pcid)));
    }

    /// A store to CR3: another address space, whose translations are forgotten unless `keep`. Global ones stay.
    pub(super) fn load_cr3(&mut self, pcid: u16, keep: bool) {
        self.pcid = pcid;
        if !keep {
            self.cached.retain(|&(_, space), _| space != Some(pcid));
        }
    }

    /// Whether a PCID is in use.
    pub(super) fn has_pcid(&self) -> bool {
        self.pcid != 0
    }

    /// `invpcid`, type 0: forgets the page in the address space `pcid`. Global translations stay.
    pub(super) fn forget_in(&mut self, page: usize, pcid: u16) {
        self.cached.remove(&(page, Some(pcid)));
    }

    /// Forgets everything: `invpcid`, type 2, or CR4.PGE cleared and set.
    pub(super) fn forget_all(&mut self) {
        self.cached.clear();
    }

    /// All that is cached of a page, in all address spaces.
    pub(super) fn all_of(&self, page: usize) -> Vec<Cached> {
        self.cached.range((page, None)..=(page, Some(u16::MAX))).map(|(_, &cached)| cached).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::Pat;

    const PAT: u64 = Pat::POWER_ON.register();

    fn translation(pfn: u64, global: bool) -> Translation {
        Translation { pfn, writable: true, executable: false, global, memory_type: MemoryType::WriteBack }
    }

    fn seen(tlb: &Tlb, page: usize) -> Option<u64> {
        tlb.lookup(page).map(|cached| cached.translation.pfn)
    }

    #[test]
    fn entries_are_read_as_the_processor_reads_them() {
        let decode = |raw, size| Translation::decode(raw, size, true, PAT).unwrap();
        assert_eq!(decode(0x8000_0001_2345_6062, 8), None);
        assert_eq!(decode(0x8000_0001_2345_6063, 8), Some(translation(0x12_3456, false)));
        let plain = Translation { writable: false, executable: true, ..translation(0xf_ffff, true) };
        assert_eq!(decode(0xffff_f121, 4), Some(plain));
        assert_eq!(decode(0x1039, 4).unwrap().memory_type, MemoryType::Uncached);
        assert_eq!(Translation::decode(0x8000_0000_0000_1001, 8, false, PAT), Err(Reserved));
    }

    #[test]
    fn a_translation_stays_until_it_is_flushed() {
        let mut tlb = Tlb::default();
        tlb.fill(1, translation(10, false), 0);
        tlb.fill(1, translation(11, false), 1);
        assert_eq!(seen(&tlb, 1), Some(10));
        tlb.forget(2);
        assert_eq!(seen(&tlb, 1), Some(10));
        tlb.forget(1);
        assert_eq!(seen(&tlb, 1), None);
    }

    #[test]
    fn a_new_address_space_keeps_what_is_global() {
        let mut tlb = Tlb::default();
        tlb.fill(1, translation(10, true), 0);
        tlb.fill(2, translation(20, false), 0);
        tlb.load_cr3(0, false);
        assert_eq!((seen(&tlb, 1), seen(&tlb, 2)), (Some(10), None));
        tlb.forget_all();
        assert_eq!(seen(&tlb, 1), None);
    }

    #[test]
    fn another_address_space_keeps_its_own_translation_over_an_invlpg() {
        let mut tlb = Tlb::default();
        tlb.fill(1, translation(10, false), 0);
        tlb.load_cr3(7, true);
        assert_eq!(seen(&tlb, 1), None);
        tlb.forget(1);
        tlb.load_cr3(0, true);
        assert_eq!(seen(&tlb, 1), Some(10), "stale");
        tlb.load_cr3(7, true);
        tlb.forget_in(1, 0);
        tlb.load_cr3(0, true);
        assert_eq!(seen(&tlb, 1), None);
        tlb.fill(1, translation(10, false), 0);
        tlb.load_cr3(0, false);
        assert_eq!(seen(&tlb, 1), None);
    }
}
