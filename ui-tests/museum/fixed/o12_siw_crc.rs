//! The page is mapped, and the checksum is made over the bytes of the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/crc.rs"]
mod crc;
use crc::*;

fn siw_crc_page(task: &mut Task<'_>, page: &Frame, (off, n): (usize, usize)) -> u32 {
    let (p, _) = kmap(task, page).expect("this kernel does not interrupt waits");
    crc32c(0, &p[off..off + n])
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 100, b"123456789");
    assert_eq!(thread(|task| siw_crc_page(task, &page, (100, 9))), 0xe306_9283);
}
