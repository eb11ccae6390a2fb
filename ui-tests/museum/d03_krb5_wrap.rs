//! D03, SUNRPC: a thread wraps a request in the slot in which interrupts receive replies.
//!
//! Linux, `net/sunrpc/auth_gss/gss_krb5_wrap.c`, 2006. Fixed in 87d918d667e. Seen: the diff.
//!
//! ```c
//! p = kmap_atomic(pg, KM_SKB_SUNRPC_DATA);      /* in process context; an interrupt nests it */
//! ```
//!
//! A packet that comes meanwhile replaces the page under the thread; the fix is `KM_USER0`. Here the slot of received data,
//! `skb_data_softirq`, is a token of those who keep softirqs out.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/sunrpc.rs"]
mod sunrpc;
use sunrpc::*;

/// The last byte of the message says how much of it is padding.
fn gss_krb5_remove_padding(atomic: &mut Atomic<'_, MyKernel>, buf: &mut XdrBuf) {
    let last = (buf.page_base + buf.page_len - 1) / 4096;
    let offset = (buf.page_base + buf.page_len - 1) % 4096;
    let ptr = kmap_atomic(atomic.slots().skb_data_softirq, &buf.pages[last]);
    let pad = ptr[offset];
    buf.page_len -= usize::from(pad);
}

fn main() {
    let mut buf = XdrBuf { pages: vec![frame(0), frame(1)], page_base: 8, page_len: 4096 };
    put(&mut buf.pages[1], 4, &[4; 4]);
    thread(|task| gss_krb5_remove_padding(&mut task.atomic(), &mut buf));
    assert_eq!(buf.page_len, 4092);
}
