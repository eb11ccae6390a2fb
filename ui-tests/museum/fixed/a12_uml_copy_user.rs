//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Does something to bytes of the page behind a user's address.
fn do_op_one_page(
    slot: Slot<'_, MyKernel, User0>,
    page: &mut Frame,
    addr: usize,
    len: usize,
    op: impl FnOnce(&mut [u8]),
) {
    let mut mapped = kmap_atomic(slot, page);
    op(&mut mapped[addr % 4096..][..len]);
    kunmap_atomic(mapped);
}

fn main() {
    let mut page = frame(0);
    let copy = |to: &mut [u8]| to.copy_from_slice(b"user");
    thread(|task| do_op_one_page(task.atomic().slots().user0, &mut page, 0x1010, 4, copy));
    assert_eq!(get(&page, 16), *b"user");
}
