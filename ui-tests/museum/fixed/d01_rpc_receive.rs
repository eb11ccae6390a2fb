//! A softirq maps in a slot of softirqs.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/sunrpc.rs"]
mod sunrpc;
use sunrpc::*;

fn xdr_partial_copy_from_skb(softirq: &mut Softirq<'_, MyKernel>, xdr: &mut XdrBuf, desc: &mut SkbReader<'_>) -> usize {
    let mut copied = 0;
    for page in &mut xdr.pages {
        let mut kaddr = kmap_atomic(softirq.slots().skb_data_softirq, page);
        let ret = desc.read_bits(&mut kaddr[xdr.page_base..]);
        xdr.page_base = 0;
        copied += ret;
    }
    copied
}

fn main() {
    let mut xdr = XdrBuf { pages: vec![frame(0), frame(1)], page_base: 4093, page_len: 5 };
    let mut desc = SkbReader { data: b"reply" };
    assert_eq!(softirq(|cx| xdr_partial_copy_from_skb(cx, &mut xdr, &mut desc)), 5);
    assert_eq!(get(&xdr.pages[0], 4093), *b"rep");
    assert_eq!(get(&xdr.pages[1], 0), *b"ly");
}
