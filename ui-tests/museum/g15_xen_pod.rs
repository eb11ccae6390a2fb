//! G15, Xen populate-on-demand: `continue` skips the unmap of a page that is in use.
//!
//! Xen, `xen/arch/x86/mm/p2m.c`, 2009. Fixed in b6d4a6d487. Seen: the diff.
//!
//! ```c
//! m[i] = map_domain_page(mfn[i]);
//! if (nonzero) {
//!         set(...);
//!         continue;
//! }
//! /* ... */
//! unmap_domain_page(m[i]);
//! ```
//!
//! All pages are mapped first, and those that are not zero are never unmapped. Here a slot is for one page: a mapping that is kept
//! for a later loop keeps its slot, too.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/domain.rs"]
mod domain;
use domain::*;

/// Which pages are zero, and can be taken back.
fn p2m_pod_zero_check(mut slot: Slot<'_, MyKernel, User0>, pages: &[Frame]) -> Vec<usize> {
    let mut map = Vec::new();
    for page in pages {
        map.push(kmap_atomic(slot.reborrow(), page));
    }
    let mut reclaimed = Vec::new();
    for (gfn, mapped) in map.into_iter().enumerate() {
        if (0..16).any(|word| entry(&mapped[..], word) != 0) {
            continue;
        }
        reclaimed.push(gfn);
        kunmap_atomic(mapped);
    }
    reclaimed
}

fn main() {
    let mut pages = [frame(0), frame(1), frame(2)];
    write_entry(&mut pages[1], 15, 1);
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(p2m_pod_zero_check(atomic.slots().user0, &pages), [0, 2]);
    });
}
