//! The page of each word is mapped for as long as the word is read.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/xdr.rs"]
mod xdr;
use xdr::*;

use highmem::linux::SkbSunrpcData;

fn xdr_stream_decode_u32(slot: &mut Slot<'_, MyKernel, SkbSunrpcData>, xdr: &mut XdrStream) -> u32 {
    let (page, at) = xdr.advance(4);
    let p = kmap_atomic(slot.reborrow(), &xdr.pages[page]);
    u32::from_be_bytes(p[at..at + 4].try_into().expect("4 bytes"))
}

fn main() {
    let mut xdr = XdrStream { pages: vec![frame(0), frame(1)], page: 0, offset: 4092 };
    put(&mut xdr.pages[0], 4092, &[0, 0, 0, 100]);
    put(&mut xdr.pages[1], 0, &[0, 1, 0x86, 0xa3]);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().skb_sunrpc_data;
        assert_eq!(xdr_stream_decode_u32(&mut slot, &mut xdr), 100);
        assert_eq!(xdr_stream_decode_u32(&mut slot, &mut xdr), 100_003);
    });
}
