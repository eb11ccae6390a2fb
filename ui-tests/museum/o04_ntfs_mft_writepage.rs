//! O04, NTFS: records of the master file table are fixed up at the address of their page.
//!
//! Linux, `fs/ntfs/aops.c`, 2004. Fixed in 3e593cf74a (history before git). Seen: the diff.
//!
//! ```c
//! k = page_address(pg);
//! fixup(k);
//! ```
//!
//! The pages of this file can be in high memory like those of every other; the fix is `kmap()`. Here the function that fixes up takes
//! bytes, and a page is none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Replaces the last two bytes of each sector by the number of the update.
fn pre_write_mst_fixup(record: &mut [u8], usn: u16) {
    record.chunks_exact_mut(512).for_each(|sector| sector[510..].copy_from_slice(&usn.to_le_bytes()));
}

fn ntfs_mft_writepage(_task: &mut Task<'_>, page: &mut Frame, usn: u16) {
    let kaddr = &mut page[..];
    pre_write_mst_fixup(&mut kaddr[1024..2048], usn);
}

fn main() {
    let mut page = frame(0);
    thread(|task| ntfs_mft_writepage(task, &mut page, 0x0201));
    assert_eq!(get(&page, 1024 + 509), [0, 1, 2, 0]);
    assert_eq!(get(&page, 2047), [2, 0]);
}
