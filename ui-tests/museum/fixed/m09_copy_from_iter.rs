//! All pages that the bytes are in, one after the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;

/// Writes what comes from user space to a folio of the page cache.
fn copy_page_from_iter_atomic(slot: Slot<'_, MyKernel, User0>, page: &mut FrameRun, offset: usize, iter: &[u8]) {
    memcpy_to_run(slot, page, offset, iter).unwrap();
}

fn main() {
    let mut folio = run(0);
    let iter = [7; 5000];
    thread(|task| copy_page_from_iter_atomic(task.atomic().slots().user0, &mut folio, 1000, &iter));
    assert_eq!(get_run(&folio, 1000), [7; 5000]);
    assert_eq!(get_run(&folio, 6000), [0; 2192]);
}
