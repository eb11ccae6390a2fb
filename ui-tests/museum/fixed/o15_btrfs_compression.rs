//! Each page of the file is mapped while it is compressed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/compression.rs"]
mod compression;
use compression::*;

fn lzo_compress_pages(task: &mut Task<'_>, mapping: &[Frame]) -> Vec<(u8, usize)> {
    let mut out = Vec::new();
    for page in mapping {
        let (src, _) = kmap(task, page).expect("this kernel does not interrupt waits");
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
