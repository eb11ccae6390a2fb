//! O12, siw: a checksum is made over the address of a page.
//!
//! Linux, `drivers/infiniband/sw/siw`, 2019. lore 20190906084544.26103-1-bmt@zurich.ibm.com. Seen: the diff.
//!
//! ```c
//! crc(page_address(p) + off, n);
//! ```
//!
//! The fix is `kmap()`. Here a checksum is made over bytes, and a page is none before it is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/crc.rs"]
mod crc;
use crc::*;

fn siw_crc_page(_task: &mut Task<'_>, page: &Frame, (off, n): (usize, usize)) -> u32 {
    crc32c(0, &page[off..off + n])
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 100, b"123456789");
    assert_eq!(thread(|task| siw_crc_page(task, &page, (100, 9))), 0xe306_9283);
}
