//! From a boot loader's map of memory to what this crate asks of a kernel: which frames are memory (`PageTableKernel::is_memory`), which of
//! them the direct map has (`Kernel::direct_map`), and which are high, so that they are mapped when they are needed.
//!
//! Boot loaders give maps as they come: in no order, with regions that overlap, that begin and end within a page, or go on behind
//! what the paging mode has numbers for. A frame counts as memory if all its bytes are usable, and no byte is anything else as well.
//!
//! ```sh
//! cargo run --example boot_memory
//! cargo test --example boot_memory
//! ```

use std::ops::Range;

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use highmem::paging::{NonPae, Pae, Paging};
use highmem::{PAGE_SIZE, Pfn};

/// A region of a boot loader's map, in physical addresses.
#[derive(Clone, Debug)]
struct Region {
    bytes: Range<u64>,
    is_usable: bool,
}

/// The map of the crate `bootloader_api`. What the loader itself uses is the loader's for good: its page tables are in use.
impl From<&MemoryRegion> for Region {
    fn from(region: &MemoryRegion) -> Self {
        Self { bytes: region.start..region.end, is_usable: region.kind == MemoryRegionKind::Usable }
    }
}

/// The frames of memory, by their numbers: ranges in order, none of which touches another.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    frames: Vec<Range<u64>>,
    /// Where the direct map ends.
    high_from: u64,
}

impl Memory {
    /// The frames that the paging mode `M` has numbers for; the direct map ends at the physical address `direct_map_end`.
    fn new<M: Paging>(map: impl IntoIterator<Item = impl Into<Region>>, direct_map_end: u64) -> Self {
        let (usable, other): (Vec<Region>, Vec<Region>) =
            map.into_iter().map(Into::into).partition(|map| map.is_usable);
        // Usable bytes that touch make a frame together, so bytes are merged first, and then cut to frames.
        let mut bytes: Vec<Range<u64>> = Vec::new();
        let mut usable: Vec<Range<u64>> = usable.into_iter().map(|region| region.bytes).collect();
        usable.retain(|region| !region.is_empty());
        usable.sort_by_key(|region| region.start);
        for region in usable {
            match bytes.last_mut() {
                Some(last) if region.start <= last.end => last.end = last.end.max(region.end),
                _ => bytes.push(region),
            }
        }
        for taken in other.into_iter().map(|region| region.bytes).filter(|taken| !taken.is_empty()) {
            let without = |from: Range<u64>| {
                let (before, behind) = (from.start..from.end.min(taken.start), from.start.max(taken.end)..from.end);
                [before, behind].into_iter().filter(|part| !part.is_empty())
            };
            bytes = bytes.into_iter().flat_map(without).collect();
        }
        let page = PAGE_SIZE as u64;
        let whole = |bytes: Range<u64>| bytes.start.div_ceil(page)..(bytes.end / page).min(1 << M::PFN_BITS);
        let frames = bytes.into_iter().map(whole).filter(|frames| !frames.is_empty()).collect();
        // A frame of which the direct map has a part has no address.
        Self { frames, high_from: direct_map_end / page }
    }

    /// What `PageTableKernel::is_memory` answers.
    fn is_memory<M: Paging>(&self, pfn: Pfn<M>) -> bool {
        let number = pfn.number() as u64;
        // The last range that begins at the frame, or before it.
        let behind = self.frames.partition_point(|frames| frames.start <= number);
        behind > 0 && self.frames[behind - 1].contains(&number)
    }

    /// Frames for the allocator that have an address in the direct map.
    fn low(&self) -> impl Iterator<Item = Range<u64>> {
        self.part(0..self.high_from)
    }

    /// Frames for the allocator that have none.
    fn high(&self) -> impl Iterator<Item = Range<u64>> {
        self.part(self.high_from..u64::MAX)
    }

    fn part(&self, of: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let cut = move |frames: &Range<u64>| frames.start.max(of.start)..frames.end.min(of.end);
        self.frames.iter().map(cut).filter(|frames| !frames.is_empty())
    }
}

/// What a PC with 6 GiB says, about.
const PC: [(u64, u64, MemoryRegionKind); 5] = [
    (0x1_0000_0000, 0x1_c000_0000, MemoryRegionKind::Usable),
    (0, 0x9_fc00, MemoryRegionKind::Usable),
    (0x9_fc00, 0x10_0000, MemoryRegionKind::UnknownBios(2)),
    (0x10_0000, 0xbffe_0000, MemoryRegionKind::Usable),
    (0xbffe_0000, 0xc000_0000, MemoryRegionKind::UnknownBios(3)),
];

/// Where a 32-bit kernel's direct map usually ends.
const LOWMEM: u64 = 896 << 20;

fn main() {
    let map = PC.map(|(start, end, kind)| MemoryRegion { start, end, kind });
    for (mode, memory) in
        [("PAE", Memory::new::<Pae>(&map, LOWMEM)), ("without PAE", Memory::new::<NonPae>(&map, LOWMEM))]
    {
        println!("{mode}");
        let pages = |name, frames: Range<u64>| println!("  {name} frames {:#8x} to {:#8x}", frames.start, frames.end);
        memory.low().for_each(|frames| pages("low ", frames));
        memory.high().for_each(|frames| pages("high", frames));
    }
    assert!(Memory::new::<Pae>(&map, LOWMEM).is_memory(Pfn::<Pae>::new(0x10_0000).expect("within reach")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(map: &[(Range<u64>, bool)], direct_map_end: u64) -> Memory {
        let map = map.iter().map(|(bytes, is_usable)| Region { bytes: bytes.clone(), is_usable: *is_usable });
        Memory::new::<Pae>(map, direct_map_end)
    }

    #[test]
    fn a_pc() {
        let map = PC.map(|(start, end, kind)| MemoryRegion { start, end, kind });
        let memory = Memory::new::<Pae>(&map, LOWMEM);
        assert!(memory.low().eq([0..0x9f, 0x100..0x3_8000]));
        assert!(memory.high().eq([0x3_8000..0xb_ffe0, 0x10_0000..0x1c_0000]));
    }

    #[test]
    fn frames_beyond_the_paging_mode_are_left_out() {
        let map = PC.map(|(start, end, kind)| MemoryRegion { start, end, kind });
        assert!(Memory::new::<NonPae>(&map, LOWMEM).high().eq([0x3_8000..0xb_ffe0]));
        let all = [Region { bytes: 0..u64::MAX, is_usable: true }];
        assert!(Memory::new::<NonPae>(all, 0).high().eq([0..1 << 20]));
    }

    #[test]
    fn what_the_loader_uses_is_not_memory() {
        let region = |start, end, kind| MemoryRegion { start, end, kind };
        let map = [
            region(0x8000, 0xa000, MemoryRegionKind::Usable),
            region(0x1000, 0x3000, MemoryRegionKind::Usable),
            region(0x3000, 0x8000, MemoryRegionKind::Bootloader),
            region(0xa000, u64::MAX, MemoryRegionKind::UnknownUefi(0)),
        ];
        assert_eq!(Memory::new::<Pae>(&map, LOWMEM).frames, [1..3, 8..10]);
    }

    #[test]
    fn what_is_not_usable_wins() {
        let map = [(0x1000..0x9000, true), (0x3800..0x4800, false), (0..0x1001, false), (0x8fff..0xf000, false)];
        assert_eq!(memory(&map, LOWMEM).frames, [2..3, 5..8]);
        let covered = [(0x2000..0x3000, true), (0x1000..0x9000, false)];
        assert_eq!(memory(&covered, LOWMEM).frames, []);
    }

    #[test]
    fn regions_that_overlap_or_touch_are_one_frame_each_once() {
        let map = [(0x4800..0x6000, true), (0x1000..0x3000, true), (0x2000..0x4800, true), (0x1000..0x2000, true)];
        assert_eq!(memory(&map, LOWMEM).frames, vec![1..6]);
    }

    #[test]
    fn parts_of_frames_are_no_memory() {
        assert_eq!(
            memory(&[(0x1001..0x2fff, true), (0x5001..0x6000, true), (0x7fff..0x9001, true)], LOWMEM).frames,
            [8..9]
        );
        assert_eq!(
            memory(&[(0x2000..0x2000, true), (0x9000..0x4000, true), (0x3000..0x3000, false)], LOWMEM).frames,
            []
        );
    }

    #[test]
    fn a_frame_is_low_only_if_the_direct_map_has_all_of_it() {
        let memory = memory(&[(0..0x8000, true)], 0x4fff);
        assert!(memory.low().eq([0..4]) && memory.high().eq([4..8]));
    }

    /// Beside a plain account, byte by byte.
    #[test]
    fn random_maps() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) % below
        };
        let mut frames = 0;
        for _ in 0..500 {
            let map: Vec<_> = (0..1 + random(8)).map(|_| (random(32), random(12), random(4) > 0)).collect();
            let map: Vec<_> =
                map.iter().map(|&(start, len, is_usable)| (start * 1024..(start + len) * 1024, is_usable)).collect();
            let memory = memory(&map, 5 * 4096);
            let is =
                |kib: u64, usable| map.iter().any(|(bytes, kind)| *kind == usable && bytes.contains(&(kib * 1024)));
            for number in 0..16 {
                let expected = (number * 4..number * 4 + 4).all(|kib| is(kib, true) && !is(kib, false));
                let pfn = Pfn::<Pae>::new(number).unwrap();
                assert_eq!(memory.is_memory(pfn), expected, "{number} in {map:x?}");
                assert_eq!(memory.low().any(|frames| frames.contains(&number)), expected && number < 5);
                assert_eq!(memory.high().any(|frames| frames.contains(&number)), expected && number >= 5);
                frames += usize::from(expected);
            }
        }
        assert!(frames > 500, "{frames}");
    }
}
