//! C04, btrfs: a page of a file is mapped in the slot that the function below maps its own page in.
//!
//! Linux, `fs/btrfs/extent_map.c`, 2007. Fixed in 59d169e2b3d. Seen: the diff.
//!
//! ```c
//! /* the file write holds KM_USER0 */
//! write_eb(leaf, kaddr, ptr, size);
//!     k = kmap_atomic(page, KM_USER0);
//! ```
//!
//! The callee was moved to `KM_USER1`, which then broke a third function that used that one (ff190c0c004). Here the callee either wants
//! the context, which the caller's mapping borrows, or says which token it takes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/extent_buffer.rs"]
mod extent_buffer;
use extent_buffer::*;

/// `write_extent_buffer()`, for a range within a page.
fn write_extent_buffer(atomic: &mut Atomic<'_, MyKernel>, eb: &mut ExtentBuffer, from: &[u8], start: usize) {
    let mut kaddr = kmap_atomic(atomic.slots().user0, &mut eb.pages[start / PAGE_CACHE_SIZE]);
    kaddr[start % PAGE_CACHE_SIZE..][..from.len()].copy_from_slice(from);
}

fn insert_inline_extent(atomic: &mut Atomic<'_, MyKernel>, leaf: &mut ExtentBuffer, page: &Frame, size: usize) {
    let ptr = 101;
    let kaddr = kmap_atomic(atomic.slots().user0, page);
    write_extent_buffer(atomic, leaf, &kaddr[..size], ptr);
}

fn main() {
    let mut leaf = ExtentBuffer { pages: vec![frame(0)] };
    let mut page = frame(1);
    put(&mut page, 0, b"a small file");
    thread(|task| insert_inline_extent(&mut task.atomic(), &mut leaf, &page, 12));
    assert_eq!(get(&leaf.pages[0], 101), *b"a small file");
}
