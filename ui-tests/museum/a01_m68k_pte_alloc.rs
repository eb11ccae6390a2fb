//! A01, m68k pte_alloc_one: `kunmap()` was given the address.
//!
//! Linux, `include/asm-m68k/motorola_pgalloc.h`, 2002 to 2009. Introduced in dee4f8ff93, fixed in dc71c7d5dbd. Seen: the diff.
//!
//! ```c
//! pte = kmap(page);
//! if (pte)
//!         flush(pte);
//! kunmap(pte);          /* wants page */
//! ```
//!
//! Only a warning of the compiler said so, and for seven years nobody read it. Here bytes are no mapping, and it is an error.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Writes a page back from the cache, and keeps it out of there.
fn nocache_page(_table: &[u8]) {}

/// Gets an empty page table ready.
fn pte_alloc_one(task: &mut Task<'_>, page: &mut Frame) {
    let (mut mapped, _task) = kmap(task, page).unwrap();
    let pte = &mut mapped[..];
    pte.fill(0);
    nocache_page(pte);
    kunmap(pte);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 4092, b"used");
    thread(|task| pte_alloc_one(task, &mut page));
    assert_eq!(get(&page, 4092), [0; 4]);
}
