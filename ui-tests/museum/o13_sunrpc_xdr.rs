//! O13, SUNRPC: a decoder goes on to the address of the next page, and that page has none.
//!
//! Linux, `net/sunrpc/xdr.c`, 2023. lore 20230630204240.653492-5-anna@kernel.org. Seen: the diff.
//!
//! ```c
//! p = page_address(*xdr->page_ptr);
//! ```
//!
//! The fix maps the page that is decoded and unmaps it when the decoder goes on. Here the decoder has pages, and a word of a page is read
//! by way of a mapping, which ends by itself.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/xdr.rs"]
mod xdr;
use xdr::*;

use highmem::linux::SkbSunrpcData;

fn xdr_stream_decode_u32(_slot: &mut Slot<'_, MyKernel, SkbSunrpcData>, xdr: &mut XdrStream) -> u32 {
    let (page, at) = xdr.advance(4);
    let p = &xdr.pages[page];
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
