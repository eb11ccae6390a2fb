//! N07, FreeBSD's linuxkpi: `free_page()` is given the address at which a page happens to be in the direct map.
//!
//! FreeBSD, `sys/compat/linuxkpi`, 2023. reviews.freebsd.org/D40028 (PR 271333). Seen: the diff.
//!
//! ```c
//! a = page_address(pg);
//! free_page(a);            /* -> kmem_free() of the direct map */
//! ```
//!
//! Freeing by address has to find out what kind of address it is, and did not. Here a page is freed, and an address cannot be.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Gives a page back, after a last look at it.
fn put_page(task: &mut Task<'_>, page: Frame) -> u8 {
    let (mapped, _task) = page_address(task, &page).unwrap();
    let (first, address) = (mapped[0], mapped.address());
    free(address);
    first
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"last");
    assert_eq!(thread(|task| put_page(task, page)), b'l');
}
