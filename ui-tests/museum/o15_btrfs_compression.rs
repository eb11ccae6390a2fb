//! O15, btrfs: compression goes without `kmap()`, since its own pages are lowmem; those of the file are not.
//!
//! Linux, `fs/btrfs/lzo.c`, `zlib.c` and `zstd.c`, 2021. ccaa66c8dd27 and 3 more, reverted (pull 2021-10-29). Seen: the diff.
//!
//! ```c
//! in = find_get_page(mapping);
//! src = page_address(in);
//! ```
//!
//! It crashed on 32-bit machines, and was reverted. In C both kinds of pages are a `struct page *`. Here no page gives an address, and to
//! map one that is lowmem costs nothing.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/compression.rs"]
mod compression;
use compression::*;

fn lzo_compress_pages(_task: &mut Task<'_>, mapping: &[Frame]) -> Vec<(u8, usize)> {
    let mut out = Vec::new();
    for page in mapping {
        let src = page;
        out.extend(compress(&src[..]));
    }
    out
}

fn main() {
    let mut file = [frame(0), frame(1)];
    put(&mut file[1], 4000, &[9; 50]);
    let out = thread(|task| lzo_compress_pages(task, &file));
    assert_eq!(out, [(0, 4096), (0, 4000), (9, 50), (0, 46)]);
}
