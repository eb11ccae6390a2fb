//! O10, TTM on ppc: the cache of pages is flushed between two addresses that are 0 and 4096.
//!
//! Linux, `drivers/gpu/drm/ttm`, 2009. Fixed in f121ecfebbe. Seen: the diff.
//!
//! ```c
//! s = page_address(p);
//! flush(s, s + PAGE_SIZE);
//! ```
//!
//! The fix maps each page. Here a range of addresses cannot be had from a page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/ttm.rs"]
mod ttm;
use ttm::*;

fn ttm_tt_cache_flush(_task: &mut Task<'_>, ttm: &TtmTt) -> usize {
    let mut flushed = 0;
    for page in &ttm.pages {
        let start = page.address();
        flushed += (start..start + 4096).step_by(32).count();
    }
    flushed
}

fn main() {
    let ttm = TtmTt { pages: vec![frame(0), frame(2)] };
    assert_eq!(thread(|task| ttm_tt_cache_flush(task, &ttm)), 256);
}
