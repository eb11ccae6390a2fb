//! O09, ARM: the cache is flushed at the address of a page that is mapped, but not there.
//!
//! Linux, `arch/arm/mm/flush.c`, 2009. Fixed in 13f96d8f4c5. Seen: the diff.
//!
//! ```c
//! k = kmap_atomic(p);
//! flush_dcache_page(p);            /* flush(page_address(p)), which is 0 */
//! ```
//!
//! The function gets the page, and cannot know of a mapping that its caller has made; the fix leaves out pages without an address. Here a
//! function that works on addresses takes bytes, and these come from the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/cache.rs"]
mod cache;
use cache::*;

fn flush_dcache_page(page: &Frame) -> usize {
    flush_dcache_range(&page[..])
}

fn copy_to_page(task: &mut Task<'_>, page: &mut Frame, data: &[u8]) -> usize {
    let mut atomic = task.atomic();
    let mut k = kmap_atomic(atomic.slots().user0, page);
    k[..data.len()].copy_from_slice(data);
    flush_dcache_page(k.page())
}

fn main() {
    let mut page = frame(0);
    assert_eq!(thread(|task| copy_to_page(task, &mut page, b"code")), 128);
}
