//! M09, iov_iter: a compound page was written through a mapping of its first page, which works in lowmem.
//!
//! Linux, `lib/iov_iter.c`, 2024. LKML dd5f0c89-186e-18e1-4f43-..., 2024-10-27 (fixes 908a1ad89466). Seen: the diff.
//!
//! ```c
//! p = kmap_atomic(page) + offset;
//! n = iterate_and_advance(i, bytes, p, ...);   /* n > PAGE_SIZE - offset: a compound page */
//! kunmap_atomic(p);
//! ```
//!
//! `kmap_atomic()` of a lowmem page gives its address in the direct map, where the next page follows; only with a debug option that forces
//! a real mapping did it show. The fix copies no further than a page where mappings are real. Here a compound page is a run, in lowmem,
//! too.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/clusters.rs"]
mod clusters;
use clusters::*;

/// Writes what comes from user space to a folio of the page cache.
fn copy_page_from_iter_atomic(slot: Slot<'_, MyKernel, User0>, page: &mut FrameRun, offset: usize, iter: &[u8]) {
    let mut p = kmap_atomic(slot, page);
    p[offset..][..iter.len()].copy_from_slice(iter);
}

fn main() {
    let mut folio = run(0);
    let iter = [7; 5000];
    thread(|task| copy_page_from_iter_atomic(task.atomic().slots().user0, &mut folio, 1000, &iter));
    assert_eq!(get_run(&folio, 1000), [7; 5000]);
    assert_eq!(get_run(&folio, 6000), [0; 2192]);
}
