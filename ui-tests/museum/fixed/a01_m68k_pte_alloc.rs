//! The guard ends the mapping when the function ends.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
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
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 4092, b"used");
    thread(|task| pte_alloc_one(task, &mut page));
    assert_eq!(get(&page, 4092), [0; 4]);
}
