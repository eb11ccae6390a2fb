//! M10, highmem.h: a copy to a folio computed how much fits into each page, and copied all of it each time.
//!
//! Linux, `include/linux/highmem.h`, 2023. LKML 20230802144354.1023099-1-agruenba@redhat.com. Seen: the diff.
//!
//! ```c
//! do {
//!         char *to = kmap_local_folio(folio, offset);
//!         size_t chunk = min(len, PAGE_SIZE - offset_in_page(offset));
//!
//!         memcpy(to, from, len);           /* chunk */
//!         kunmap_local(to);
//!         from += chunk; offset += chunk; len -= chunk;
//! } while (len > 0);
//! ```
//!
//! The helper that was to end all hand-written loops had the mistake of those loops. Here the slice of the page is no longer than the page,
//! so that the wrong copy is a panic at the first page, with nothing written there or behind it; and the helper exists: `memcpy_to_run`.
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
        to[offset % PAGE_SIZE..][..from.len()].copy_from_slice(from);
        from = &from[chunk..];
        offset += chunk;
    }
}

fn main() {
    let mut folio = run(0);
    let copy = || thread(|task| memcpy_to_folio(task.atomic().slots().user0, &mut folio, 4000, &[7; 200]));
    assert_eq!(caught(copy), "range end index 200 out of range for slice of length 96");
    assert_eq!(get_run(&folio, 0), [0; 8192]);
}
