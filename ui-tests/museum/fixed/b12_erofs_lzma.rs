//! Both guards end at the end of each round.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
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
    }
}

fn main() {
    let mut rq = DecompressReq { input: [frame(0)], output: [frame(1), frame(2)] };
    put(&mut rq.input[0], 0, b"e\x01\x02");
    thread(|task| z_erofs_lzma_decompress(task, &mut rq));
    assert_eq!(get(&rq.output[1], 510), *b"eee\0");
}
