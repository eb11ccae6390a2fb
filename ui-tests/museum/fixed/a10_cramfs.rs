//! The mapping ends with the statement.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Reads pages of the image into a buffer, one after the other.
fn cramfs_read(slot: &mut Slot<'_, MyKernel, User0>, buffer: &mut [[u8; 4096]], pages: &[Frame]) {
    for (data, page) in buffer.iter_mut().zip(pages) {
        data.copy_from_slice(&*kmap_atomic(slot.reborrow(), page));
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
