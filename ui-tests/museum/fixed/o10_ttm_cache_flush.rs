//! Each page is mapped, and its bytes are flushed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/cache.rs"]
mod cache;
use cache::*;
#[path = "../fixtures/ttm.rs"]
mod ttm;
use ttm::*;

fn ttm_tt_cache_flush(task: &mut Task<'_>, ttm: &TtmTt) -> usize {
    let mut flushed = 0;
    for page in &ttm.pages {
        flushed += flush_dcache_range(&kmap_atomic(task.atomic().slots().user0, page)[..]);
    }
    flushed
}

fn main() {
    let ttm = TtmTt { pages: vec![frame(0), frame(2)] };
    assert_eq!(thread(|task| ttm_tt_cache_flush(task, &ttm)), 256);
}
