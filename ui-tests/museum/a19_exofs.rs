//! A19, exofs: a new directory's page is filled, and then the page is unmapped.
//!
//! Linux, `fs/exofs/dir.c`, 2008 to 2010. Introduced in e6af00f1d16, fixed in ddf08f4b90a. Seen: the diff.
//!
//! ```c
//! k = kmap_atomic(page, KM_USER0);
//! fill(k);
//! kunmap_atomic(page, KM_USER0);
//! ```
//!
//! It lived for two years. Here a page is no mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Writes the two entries that every directory has.
fn exofs_make_empty(slot: Slot<'_, MyKernel, User0>, page: &mut Frame, inode: u32, parent: u32) {
    let mut kaddr = kmap_atomic(slot, page);
    kaddr[..4].copy_from_slice(&inode.to_le_bytes());
    kaddr[4..8].copy_from_slice(b"\x01.\0\0");
    kaddr[8..12].copy_from_slice(&parent.to_le_bytes());
    kaddr[12..16].copy_from_slice(b"\x02..\0");
    kunmap_atomic(page);
}

fn main() {
    let mut page = frame(0);
    thread(|task| exofs_make_empty(task.atomic().slots().user0, &mut page, 7, 2));
    assert_eq!(get(&page, 0), *b"\x07\0\0\0\x01.\0\0\x02\0\0\0\x02..\0");
}
