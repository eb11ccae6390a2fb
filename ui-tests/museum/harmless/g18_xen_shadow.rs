//! G18, Xen shadow_check_gwalk: each early return leaves one more page table mapped.
//!
//! Xen, `xen/arch/x86/mm/shadow`, 2008. Fixed in ebfcabf147. Seen: the diff.
//!
//! ```c
//! l3 = sh_map_domain_page(gw->l3mfn);
//! if (mismatch)
//!         return 0;
//! l2 = sh_map_domain_page(gw->l2mfn);
//! /* ... */
//! ```
//!
//! Three levels, and three returns that forget one, two or three mappings. Here a return drops what is mapped: impossible to
//! express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/domain.rs"]
mod domain;
use domain::*;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use page_cache::*;

/// What was found when the guest's tables were walked: in each, an entry.
struct Walk {
    l3e: (usize, u64),
    l2e: (usize, u64),
    l1e: (usize, u64),
}

/// Whether the tables still say so.
fn shadow_check_gwalk(atomic: &mut Atomic<'_, MyKernel>, guest: &PageCache, gw: &Walk) -> Option<bool> {
    let slots = atomic.slots();
    let l3p = kmap_atomic(slots.user0, guest.find_get_page(3)?);
    if entry(&l3p[..], gw.l3e.0) != gw.l3e.1 {
        return Some(false);
    }
    let l2p = kmap_atomic(slots.pte0, guest.find_get_page(2)?);
    if entry(&l2p[..], gw.l2e.0) != gw.l2e.1 {
        return Some(false);
    }
    let l1p = kmap_atomic(slots.pte1, guest.find_get_page(1)?);
    if entry(&l1p[..], gw.l1e.0) != gw.l1e.1 {
        return Some(false);
    }
    Some(true)
}

fn main() {
    let tables = [(3, 8, 0x3001_u64), (2, 16, 0x2001), (1, 24, 0x1001)];
    let guest = tables.iter().fold(PageCache::new(), |guest, (page, at, entry)| guest.with(*page, *at, &entry.to_le_bytes()));
    thread(|task| {
        let mut atomic = task.atomic();
        let found = [0x3001, 0x2001, 0x1001];
        for (changed, same) in [(None, true), (Some(0), false), (Some(1), false), (Some(2), false)] {
            let [l3e, l2e, l1e] = std::array::from_fn(|level| found[level] + u64::from(changed == Some(level)));
            let gw = Walk { l3e: (1, l3e), l2e: (2, l2e), l1e: (3, l1e) };
            assert_eq!(shadow_check_gwalk(&mut atomic, &guest, &gw), Some(same));
            assert_eq!(guest.users(), 0, "a page that is mapped has a user");
        }
    });
}
