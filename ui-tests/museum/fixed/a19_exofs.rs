//! The guard ends the mapping when the function ends.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Writes the two entries that every directory has.
fn exofs_make_empty(slot: Slot<'_, MyKernel, User0>, page: &mut Frame, inode: u32, parent: u32) {
    let mut kaddr = kmap_atomic(slot, page);
    kaddr[..4].copy_from_slice(&inode.to_le_bytes());
    kaddr[4..8].copy_from_slice(b"\x01.\0\0");
    kaddr[8..12].copy_from_slice(&parent.to_le_bytes());
    kaddr[12..16].copy_from_slice(b"\x02..\0");
}

fn main() {
    let mut page = frame(0);
    thread(|task| exofs_make_empty(task.atomic().slots().user0, &mut page, 7, 2));
    assert_eq!(get(&page, 0), *b"\x07\0\0\0\x01.\0\0\x02\0\0\0\x02..\0");
}
