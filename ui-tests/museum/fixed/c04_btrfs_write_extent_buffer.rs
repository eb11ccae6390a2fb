//! The callee takes the token of a slot that the caller can spare.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/extent_buffer.rs"]
mod extent_buffer;
use extent_buffer::*;

/// `write_extent_buffer()`, for a range within a page.
fn write_extent_buffer(slot: Slot<'_, MyKernel, User1>, eb: &mut ExtentBuffer, from: &[u8], start: usize) {
    let mut kaddr = kmap_atomic(slot, &mut eb.pages[start / PAGE_CACHE_SIZE]);
    kaddr[start % PAGE_CACHE_SIZE..][..from.len()].copy_from_slice(from);
}

fn insert_inline_extent(atomic: &mut Atomic<'_, MyKernel>, leaf: &mut ExtentBuffer, page: &Frame, size: usize) {
    let ptr = 101;
    let slots = atomic.slots();
    let kaddr = kmap_atomic(slots.user0, page);
    write_extent_buffer(slots.user1, leaf, &kaddr[..size], ptr);
}

fn main() {
    let mut leaf = ExtentBuffer { pages: vec![frame(0)] };
    let mut page = frame(1);
    put(&mut page, 0, b"a small file");
    thread(|task| insert_inline_extent(&mut task.atomic(), &mut leaf, &page, 12));
    assert_eq!(get(&leaf.pages[0], 101), *b"a small file");
}
