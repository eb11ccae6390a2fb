//! The segment is decoded before its page is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/lzo.rs"]
mod lzo;
use highmem::memcpy_to_page;
use lzo::*;

/// Each page has one segment.
fn lzo_decompress_biovec(
    slot: Slot<'_, MyKernel, User0>,
    [page, next]: &[Frame; 2],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let data_in = kmap_atomic(slot, page);
    let in_len = read_compress_length(&data_in[..]);
    let buf = &data_in[LZO_LEN..][..in_len];
    lzo1x_decompress_safe(buf, out)?;
    let (slot, _) = kunmap_atomic(data_in);
    let data_in = kmap_atomic(slot, next);
    let in_len = read_compress_length(&data_in[..]);
    lzo1x_decompress_safe(&data_in[LZO_LEN..][..in_len], out)
}

fn main() {
    let (mut pages_in, mut out) = ([frame(0), frame(1)], Vec::new());
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        memcpy_to_page(slot.reborrow(), &mut pages_in[0], 0, b"\x04\0\0\0\x01a\x02b").unwrap();
        memcpy_to_page(slot.reborrow(), &mut pages_in[1], 0, b"\x04\0\0\0\x01c\x01d").unwrap();
        assert_eq!(lzo_decompress_biovec(slot, &pages_in, &mut out), Ok(()));
    });
    assert_eq!(out, b"abbcd");
}
