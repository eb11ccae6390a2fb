//! G09, btrfs lzo: an error of the decoder leaves the compressed page mapped.
//!
//! Linux, `fs/btrfs/lzo.c`, 2021. Fixed in 2cf3f8133bda. Seen: its title.
//!
//! ```c
//! k = kmap(page);
//! if (bad)
//!         return -EIO;
//! kunmap(page);
//! ```
//!
//! A return between the two calls skips the second. Here every return drops the guard, which unmaps: impossible to express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/lzo.rs"]
mod lzo;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use lzo::*;
use page_cache::*;

fn lzo_decompress_bio(task: &mut Task<'_>, compressed: &PageCache, out: &mut Vec<u8>) -> Result<(), Error> {
    let page_in = compressed.find_get_page(0).ok_or(Error::Io)?;
    let (data_in, _task) = kmap(task, page_in).map_err(|_| Error::NoMemory)?;
    let seg_len = read_compress_length(&data_in[..]);
    if seg_len > highmem::PAGE_SIZE - LZO_LEN {
        return Err(Error::Io);
    }
    lzo1x_decompress_safe(&data_in[LZO_LEN..][..seg_len], out)?;
    kunmap(data_in);
    Ok(())
}

fn main() {
    let mut out = Vec::new();
    let compressed = PageCache::new().with(0, 0, b"\xff\xff\xff\xff");
    thread(|task| assert_eq!(lzo_decompress_bio(task, &compressed, &mut out), Err(Error::Io)));
    assert_eq!(compressed.users(), 0, "a page that is mapped has a user");

    let compressed = compressed.with(0, 0, b"\x03\x00\x00\x00\x02ab");
    thread(|task| assert_eq!(lzo_decompress_bio(task, &compressed, &mut out), Err(Error::Io)));
    assert_eq!(compressed.users(), 0, "a page that is mapped has a user");

    let compressed = compressed.with(0, 0, b"\x04\x00\x00\x00\x03a\x01b");
    thread(|task| assert_eq!(lzo_decompress_bio(task, &compressed, &mut out), Ok(())));
    assert_eq!(out, b"aaaaab");
}
