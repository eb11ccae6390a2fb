//! A10, cramfs: the page was mapped in the midst of an expression, so there was only the page to unmap.
//!
//! Linux, `fs/cramfs`, in a patch, 2006. LKML 20060602124143.0898384f. Seen: the diff.
//!
//! ```c
//! memcpy(d, kmap_atomic(p, KM_USER0), PAGE_SIZE);   /* result lost */
//! kunmap_atomic(p, KM_USER0);
//! ```
//!
//! It was caught in review: keep the address in a variable. Here one may map in the midst of an expression, and the mapping ends with the
//! statement; there is nothing to unmap afterwards.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Reads pages of the image into a buffer, one after the other.
fn cramfs_read(slot: &mut Slot<'_, MyKernel, User0>, buffer: &mut [[u8; 4096]], pages: &[Frame]) {
    for (data, page) in buffer.iter_mut().zip(pages) {
        data.copy_from_slice(&*kmap_atomic(slot.reborrow(), page));
        kunmap_atomic(page);
    }
}

fn main() {
    let mut pages = [frame(0), frame(1)];
    put(&mut pages[0], 0, b"Compressed");
    put(&mut pages[1], 4090, b"ROMFS!");
    let mut buffer = [[0; 4096]; 2];
    thread(|task| cramfs_read(&mut task.atomic().slots().user0, &mut buffer, &pages));
    assert_eq!(&buffer[0][..10], b"Compressed");
    assert_eq!(&buffer[1][4090..], b"ROMFS!");
}
