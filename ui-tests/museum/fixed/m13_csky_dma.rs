//! Page by page, each with an address of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use highmem::PAGE_SIZE;

/// What the device is to see of the memory, is written back: here, it is counted.
fn dma_wbinv_range(bytes: &[u8], lines: &mut usize) {
    *lines += bytes.len() / 32;
}

/// Keeps the caches from what a device reads.
fn cache_op(task: &mut Task<'_>, pages: &FrameRun, size: usize, lines: &mut usize) {
    for (number, at) in (0..size).step_by(PAGE_SIZE).enumerate() {
        let (start, _) = kmap(task, pages.page(number).unwrap()).unwrap();
        dma_wbinv_range(&start[..PAGE_SIZE.min(size - at)], lines);
    }
}

fn main() {
    let pages = run(0);
    let mut lines = 0;
    thread(|task| cache_op(task, &pages, 6144, &mut lines));
    assert_eq!(lines, 192);
}
