//! G19, Xen tmem: inline helpers map a page, look at it, and throw the address away.
//!
//! Xen, `xen/include/xen/tmem_xen.h`, 2013. Fixed in 2f718161bc. Seen: the diff.
//!
//! ```c
//! first_byte(p)
//! {
//!         return *(u8 *)map(p);
//! }
//! ```
//!
//! Coverity found seven of them; without the address nobody can unmap. Here the guard of an expression ends with it, and the helper
//! is right as it stands: impossible to express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use page_cache::*;

type TmemSlot<'cx> = Slot<'cx, MyKernel, User0>;

fn tmem_get_first_byte(slot: TmemSlot<'_>, pfp: GotPage<'_>) -> u8 {
    kmap_atomic(slot, pfp)[0]
}

fn tmem_page_cmp(slot: TmemSlot<'_>, pfp: GotPage<'_>, with: &PageBytes) -> std::cmp::Ordering {
    kmap_atomic(slot, pfp)[..].cmp(with)
}

/// The bytes before the zeros at the end.
fn tmem_tze_pfp_scan(slot: TmemSlot<'_>, pfp: GotPage<'_>) -> usize {
    kmap_atomic(slot, pfp).iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

fn main() {
    let pool = PageCache::new().with(0, 0, b"tmem").with(1, 4095, b"!");
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let page = |index| pool.find_get_page(index).unwrap();
        assert_eq!(tmem_get_first_byte(slot.reborrow(), page(0)), b't');
        assert!(tmem_page_cmp(slot.reborrow(), page(0), &[0; highmem::PAGE_SIZE]).is_gt());
        assert_eq!([0, 1, 2].map(|index| tmem_tze_pfp_scan(slot.reborrow(), page(index))), [4, 4096, 0]);
        assert_eq!(pool.users(), 0, "a page that is mapped has a user");
    });
}
