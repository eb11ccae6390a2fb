//! C07, ARM: the cache code writes the entry of a slot itself, which `kmap_atomic()` now gives to others.
//!
//! Linux, `arch/arm/mm/cache-feroceon-l2.c` and `cache-xsc3l2.c`, 2010. Fixed in 6d3e6d36400, 25cbe45440e, 39af22a7923. Seen: the diff.
//!
//! ```c
//! set_pte(slot KM_L2_CACHE, ..);
//! op(va);                          /* generic code now hands out any slot */
//! ```
//!
//! The code owned its slot by agreement, and the agreement ended when `kmap_atomic()` became a stack: the flush replaced somebody's
//! mapping. Here nobody has a slot by agreement. To make its token out of nothing is `unsafe`, and what it asks is what was not true.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Cleans the lines of a page that lie between these offsets, by virtual address.
fn feroceon_clean_pa_range(page: &Frame, start: usize, end: usize) -> usize {
    let slot = Slot::<MyKernel, Irq0>::new();
    let va = kmap_atomic(slot, page);
    clean_mva_range(&va[start..end])
}

/// How many lines of 32 bytes it cleaned.
fn clean_mva_range(bytes: &[u8]) -> usize {
    bytes.chunks(32).count()
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let _irqs_off = atomic.irqs_off();
        assert_eq!(feroceon_clean_pa_range(&page, 64, 256), 6);
    });
}
