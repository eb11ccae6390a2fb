//! G12, zswap: a return without the unmap.
//!
//! Linux, `mm/zswap.c`, 2026. Fixed in 631c1111501f. Seen: its title.
//!
//! ```c
//! d = kmap_local_folio(folio, 0);
//! /* ... */
//! return;
//! ```
//!
//! A local mapping that is not ended leaves the stack one deeper, and the next that ends is the wrong one. Here the return drops
//! the guard, and the depth of the next mapping is that of its token: impossible to express.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/lzo.rs"]
mod lzo;
#[path = "../fixtures/page_cache.rs"]
mod page_cache;
use lzo::*;
use page_cache::*;

struct ZswapEntry {
    handle: usize,
    length: usize,
}

fn zswap_decompress<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    pool: &PageCache,
    entry: &ZswapEntry,
    folio: &mut [u8],
) -> Result<(), Error> {
    let (src, mut local) = kmap_local_page(local, pool.find_get_page(entry.handle).ok_or(Error::Io)?);
    if entry.length == highmem::PAGE_SIZE {
        folio.copy_from_slice(&src[..]);
        return Ok(());
    }
    let (tables, _) = kmap_local_page(&mut local, pool.find_get_page(0).ok_or(Error::Io)?);
    let mut decompressed = Vec::new();
    lzo1x_decompress_safe(&src[..entry.length], &mut decompressed)?;
    if decompressed.len() != folio.len() || tables[0] != 0 {
        return Err(Error::Io);
    }
    folio.copy_from_slice(&decompressed);
    kunmap_local(src);
    Ok(())
}

fn main() {
    let pool = PageCache::new().with(1, 0, b"\xffa\xffb");
    let mut folio = [0; highmem::PAGE_SIZE];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        for (length, len, result) in [
            (highmem::PAGE_SIZE, highmem::PAGE_SIZE, Ok(())),
            (3, 510, Err(Error::Io)),
            (4, 511, Err(Error::Io)),
            (4, 510, Ok(())),
        ] {
            let entry = ZswapEntry { handle: 1, length };
            assert_eq!(zswap_decompress(&mut local, &pool, &entry, &mut folio[..len]), result);
            assert_eq!(pool.users(), 0, "a page that is mapped has a user");
        }
    });
    assert_eq!([folio[254], folio[255], folio[510]], *b"ab\0");
}
