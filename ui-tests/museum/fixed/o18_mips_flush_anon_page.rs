//! The page is mapped, and the address is that of the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/cache.rs"]
mod cache;
use cache::*;

/// Whether two addresses are at different places in a cache of 32 KiB.
fn pages_do_alias(one: usize, other: usize) -> bool {
    (one ^ other) & 0x7000 != 0
}

fn flush_anon_page(task: &mut Task<'_>, page: &Frame, vmaddr: usize) -> bool {
    let mut atomic = task.atomic();
    let page = kmap_atomic(atomic.slots().user0, page);
    pages_do_alias(page.address(), vmaddr) && flush_dcache_range(&page[..]) > 0
}

fn main() {
    let page = frame(0);
    let at = thread(|task| kmap_atomic(task.atomic().slots().user0, &page).address());
    assert!(thread(|task| flush_anon_page(task, &page, at ^ 0x1000)));
    assert!(!thread(|task| flush_anon_page(task, &page, at ^ 0x8000)));
}
