//! The page itself is freed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Gives a page back, after a last look at it.
fn put_page(task: &mut Task<'_>, page: Frame) -> u8 {
    let (mapped, _task) = page_address(task, &page).unwrap();
    let first = mapped[0];
    drop(mapped);
    free(page);
    first
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"last");
    assert_eq!(thread(|task| put_page(task, page)), b'l');
}
