//! A12, UML's copy_user: `kmap_atomic()` came, and the page went on being unmapped.
//!
//! Linux, `arch/um/kernel/skas/uaccess.c`, 2006 to 2010. Introduced in 47e5243afe0, fixed in fc0ccfceb8a. Seen: the diff.
//!
//! ```c
//! addr = kmap_atomic(page, slot) + o;
//! op(addr);
//! kunmap_atomic(page, slot);
//! ```
//!
//! Four years, in every copy to and from the memory of processes. Here a page is no mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
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
    kunmap_atomic(page);
}

fn main() {
    let mut page = frame(0);
    let copy = |to: &mut [u8]| to.copy_from_slice(b"user");
    thread(|task| do_op_one_page(task.atomic().slots().user0, &mut page, 0x1010, 4, copy));
    assert_eq!(get(&page, 16), *b"user");
}
