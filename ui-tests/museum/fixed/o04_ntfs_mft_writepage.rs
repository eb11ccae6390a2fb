//! The page is mapped in the pool, and its bytes are fixed up.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Replaces the last two bytes of each sector by the number of the update.
fn pre_write_mst_fixup(record: &mut [u8], usn: u16) {
    record.chunks_exact_mut(512).for_each(|sector| sector[510..].copy_from_slice(&usn.to_le_bytes()));
}

fn ntfs_mft_writepage(task: &mut Task<'_>, page: &mut Frame, usn: u16) {
    let (mut kaddr, _) = kmap(task, page).expect("this kernel does not interrupt waits");
    pre_write_mst_fixup(&mut kaddr[1024..2048], usn);
}

fn main() {
    let mut page = frame(0);
    thread(|task| ntfs_mft_writepage(task, &mut page, 0x0201));
    assert_eq!(get(&page, 1024 + 509), [0, 1, 2, 0]);
    assert_eq!(get(&page, 2047), [2, 0]);
}
