//! What is flushed are the bytes of the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/cache.rs"]
mod cache;
use cache::*;

fn flush_dcache_page(mapped: &PageBytes) -> usize {
    flush_dcache_range(&mapped[..])
}

fn copy_to_page(task: &mut Task<'_>, page: &mut Frame, data: &[u8]) -> usize {
    let mut atomic = task.atomic();
    let mut k = kmap_atomic(atomic.slots().user0, page);
    k[..data.len()].copy_from_slice(data);
    flush_dcache_page(&k)
}

fn main() {
    let mut page = frame(0);
    assert_eq!(thread(|task| copy_to_page(task, &mut page, b"code")), 128);
}
