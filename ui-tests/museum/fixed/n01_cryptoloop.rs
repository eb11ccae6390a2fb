//! The page goes on, with the offset in it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::page::ReferencedMut;

/// What stands for a cipher: it maps what it is to work on by itself.
fn encrypt(
    slot: Slot<'_, MyKernel, User0>,
    page: impl Page<Paging = Pae, Access: ReferencedMut>,
    offset: usize,
    size: usize,
) {
    kmap_atomic(slot, page)[offset..][..size].iter_mut().for_each(|byte| *byte ^= 0x5a);
}

/// A transfer function of the loop device.
fn cryptoloop_transfer(task: &mut Task<'_>, page: &mut Frame, offset: usize, size: usize) {
    encrypt(task.atomic().slots().user0, page, offset, size);
}

/// Writes a page to the file behind the device.
fn do_lo_send(task: &mut Task<'_>, page: &mut Frame, offset: usize, size: usize) {
    cryptoloop_transfer(task, page, offset, size);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 512, b"plain");
    thread(|task| do_lo_send(task, &mut page, 512, 4));
    assert_eq!(get(&page, 512), [b'p' ^ 0x5a, b'l' ^ 0x5a, b'a' ^ 0x5a, b'i' ^ 0x5a, b'n']);
}
