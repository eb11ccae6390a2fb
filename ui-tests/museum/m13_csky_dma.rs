//! M13, csky: a cache operation asked where the first page is, and went on into high memory.
//!
//! Linux, `arch/csky/mm/dma-mapping.c`, 2019. LKML 1565075921-25734-1-git-send-email-guoren@kernel.org. Seen: the diff.
//!
//! ```c
//! if (PageHighMem(page)) { ... }
//! else
//!         op(page_address(page), page_address(page) + size);   /* of the first page */
//! ```
//!
//! A buffer may begin in lowmem and end in high memory, where the addresses behind those of its first page are nobody's. The fix goes page
//! by page. Here a buffer of several pages has no address: `page_address` is that of a page, and lasts as long as its guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// What the device is to see of the memory, is written back: here, it is counted.
fn dma_wbinv_range(bytes: &[u8], lines: &mut usize) {
    *lines += bytes.len() / 32;
}

/// Keeps the caches from what a device reads.
fn cache_op(task: &mut Task<'_>, pages: &FrameRun, size: usize, lines: &mut usize) {
    let (start, _) = page_address(task, pages).expect("lowmem has an address");
    dma_wbinv_range(&start[..size], lines);
}

fn main() {
    let pages = run(0);
    let mut lines = 0;
    thread(|task| cache_op(task, &pages, 6144, &mut lines));
    assert_eq!(lines, 192);
}
