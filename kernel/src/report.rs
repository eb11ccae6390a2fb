//! What the examples print about the machine before they begin.

use crate::frames::{self, Zone};
use crate::{kmap, memory, paging, println};

/// Prints the memory map, and how much of it is in which zone.
pub fn memory() {
    println!("memory");
    for region in memory::map().regions() {
        println!("  {:#012x} to {:#012x}  {:8} KiB  {}", region.start, region.end(), region.size >> 10, region.kind);
    }
    let direct_map = paging::DIRECT_MAP_BASE;
    println!("  direct map of lowmem: {direct_map:#x} to {:#x}", direct_map + paging::lowmem_end());
    for zone in Zone::ALL {
        let stats = frames::stats(zone);
        println!("  {zone:20} {:7} frames, {:5} MiB", stats.total, stats.total >> 8);
    }
}

/// Prints which memory is of no use in this paging mode, if any.
pub fn left_out() {
    for zone in Zone::ALL.into_iter().filter(|zone| !zone.is_reachable()) {
        println!("left out: {zone}, which this paging mode does not reach");
    }
}

/// Prints where each slot of the window is.
pub fn window() {
    println!("window of CPU 0, {} slots", kmap::slots().count());
    for (name, address) in kmap::slots() {
        println!("  {address:#x}  {name}");
    }
}
