//! G16, Xen VT-d: what is mapped already returns early, and leaves the page table mapped.
//!
//! Xen, `xen/drivers/passthrough/vtd`, 2010. Fixed in a5d9a4f4ae. Seen: the diff.
//!
//! ```c
//! p = map_vtd_domain_page(maddr);
//! if (same) {
//!         unlock();
//!         return 0;
//! }
//! ```
//!
//! Of lock and mapping, the early return ends the one. Here it drops both guards: impossible to express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/domain.rs"]
mod domain;
use domain::*;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use page_cache::*;

use std::sync::Mutex;

struct DomainIommu {
    mapping_lock: Mutex<()>,
    pgd: PageCache,
    flushes: u32,
}

/// Whether the entry has to be written.
fn intel_iommu_map_page(
    slot: Slot<'_, MyKernel, User0>,
    hd: &mut DomainIommu,
    (level, gfn): (usize, usize),
    new: u64,
) -> Result<bool, ()> {
    let _locked = hd.mapping_lock.lock().unwrap();
    let page = kmap_atomic(slot, hd.pgd.find_get_page(level).ok_or(())?);
    let old = entry(&page[..], gfn);
    if old == new {
        return Ok(false);
    }
    hd.flushes += u32::from(old != 0);
    kunmap_atomic(page);
    Ok(true)
}

fn main() {
    let pgd = PageCache::new().with(1, 8 * 3, &0x1003_u64.to_le_bytes());
    let mut hd = DomainIommu { mapping_lock: Mutex::new(()), pgd, flushes: 0 };
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        for (gfn, new, written) in [(3, 0x1003, false), (3, 0x2003, true), (4, 0x2003, true)] {
            assert_eq!(intel_iommu_map_page(slot.reborrow(), &mut hd, (1, gfn), new), Ok(written));
            assert_eq!(hd.pgd.users(), 0, "a page that is mapped has a user");
            assert!(hd.mapping_lock.try_lock().is_ok());
        }
    });
    assert_eq!(hd.flushes, 1);
}
