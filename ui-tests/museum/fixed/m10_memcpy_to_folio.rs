//! As long as what is left of the page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/clusters.rs"]
mod clusters;
use clusters::*;
use highmem::PAGE_SIZE;

fn memcpy_to_folio(mut slot: Slot<'_, MyKernel, User0>, folio: &mut FrameRun, mut offset: usize, mut from: &[u8]) {
    while !from.is_empty() {
        let mut to = kmap_atomic(slot.reborrow(), folio.page_mut(offset / PAGE_SIZE).unwrap());
        let chunk = from.len().min(PAGE_SIZE - offset % PAGE_SIZE);
        to[offset % PAGE_SIZE..][..chunk].copy_from_slice(&from[..chunk]);
        from = &from[chunk..];
        offset += chunk;
    }
}

fn main() {
    let mut folio = run(0);
    thread(|task| memcpy_to_folio(task.atomic().slots().user0, &mut folio, 4000, &[7; 200]));
    assert_eq!(get_run(&folio, 4000), [7; 200]);
    assert_eq!(get_run(&folio, 4200), [0; 3992]);
}
