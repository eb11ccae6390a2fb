//! B12, erofs: the page of the output is mapped, and one of the input is unmapped.
//!
//! Linux, `fs/erofs/decompressor_lzma.c`, 2021 to 2023. Fixed in 8f121dfb15f7. Seen: the diff.
//!
//! ```c
//! out = kmap(rq->out[no]);
//! ...
//! kunmap(rq->in[no]);
//! ```
//!
//! `in` may have fewer pages than that: a null pointer, but only where there is high memory. Here the mapping is what is unmapped, and not
//! one of several pages.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// What is to be decompressed.
struct DecompressReq {
    input: [Frame; 1],
    output: [Frame; 2],
}

/// Decompresses a run: a byte, and how often it is there.
fn z_erofs_lzma_decompress(task: &mut Task<'_>, rq: &mut DecompressReq) {
    for no in 0..rq.output.len() {
        let (input, mut out, _task) = kmap_pair(task, &rq.input[0], &mut rq.output[no]).unwrap();
        let len = u16::from_le_bytes([input[1], input[2]]).into();
        out[..len].fill(input[0]);
        kunmap(&rq.input[no]);
    }
}

fn main() {
    let mut rq = DecompressReq { input: [frame(0)], output: [frame(1), frame(2)] };
    put(&mut rq.input[0], 0, b"e\x01\x02");
    thread(|task| z_erofs_lzma_decompress(task, &mut rq));
    assert_eq!(get(&rq.output[1], 510), *b"eee\0");
}
