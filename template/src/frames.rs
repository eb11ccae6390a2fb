//! Gives out page frames that have no address: those above the direct map.

use highmem::paging::Paging;
use highmem::{Frame, PAGE_SIZE, Pfn};

use crate::memory_map::Region;

/// Every frame of memory from `direct_map_end` on, the highest first, as far as a processor with so
/// many address bits reaches.
///
/// # Safety
/// The map is true, its regions do not overlap, and nobody else uses this memory: so this is for
/// one place in the kernel.
pub unsafe fn high_frames<P: Paging>(
    map: &[Region],
    direct_map_end: u64,
    address_bits: u32,
) -> impl Iterator<Item = Frame<P>> {
    const PAGE: u64 = PAGE_SIZE as u64;
    let numbers = map.iter().rev().flat_map(move |region| {
        let first = region.start.max(direct_map_end).div_ceil(PAGE);
        let end = (region.start + region.ram()) / PAGE;
        (first..end).rev()
    });
    numbers.filter_map(move |number| {
        let pfn = Pfn::within(number, address_bits).ok()?;
        // SAFETY: whole pages of memory, which belong to nobody else by the caller's promise.
        Some(unsafe { Frame::from_pfn(pfn) })
    })
}

#[cfg(test)]
mod tests {
    use super::high_frames;
    use crate::memory_map::Region;
    use highmem::Page;
    use highmem::paging::Pae;
    use std::vec::Vec;

    fn frames(regions: &[(u64, u64, u32)], address_bits: u32) -> Vec<u64> {
        let region = |&(start, size, kind)| Region { start, size, kind, reserved: 0 };
        let map: Vec<Region> = regions.iter().map(region).collect();
        // SAFETY: these frames are looked at, and never mapped.
        let frames = unsafe { high_frames::<Pae>(&map, 0x10_0000, address_bits) };
        frames.map(|frame| frame.pfn().address()).collect()
    }

    #[test]
    fn only_whole_pages_of_memory_above_the_direct_map() {
        assert_eq!(frames(&[(0xf_e000, 0x4000, 1)], 36), [0x10_1000, 0x10_0000]);
        assert_eq!(frames(&[(0x20_0800, 0x2000, 1)], 36), [0x20_1000]);
        assert_eq!(frames(&[(0x20_0000, 0x2000, 2)], 36), []);
        assert_eq!(frames(&[(0x1000, 0x2000, 1)], 36), []);
    }

    #[test]
    fn the_highest_first_and_none_that_the_processor_does_not_reach() {
        let map = [(0x20_0000, 0x1000, 1), (0xf_ffff_f000, 0x2000, 1)];
        assert_eq!(frames(&map, 36), [0xf_ffff_f000, 0x20_0000]);
    }
}
