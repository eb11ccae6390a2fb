//! M03, RPCSEC_GSS: a checksum began in the first page, wherever its data began.
//!
//! Linux, `net/sunrpc/auth_gss`, 2004. Fixed in a9156c090e (history before git). Seen: the diff.
//!
//! ```c
//! sg->page = body->pages[0];
//! sg->offset = body->page_base;            /* may be more than PAGE_SIZE */
//! sg->length = thislen;
//! ```
//!
//! The pages of a message are an array, and its data begins `page_base` bytes into them, which can be in a later page. The fix divides: an
//! index, and an offset. Here bytes that are not in the page are an error that says so, before anything is mapped, and `Result` must be
//! used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::{memcpy_from_page, ops::Error};

/// `struct xdr_buf`: the data of a message.
struct XdrBuf {
    pages: [Frame; 2],
    page_base: usize,
}

/// The sum of the first `N` bytes of the data.
fn make_checksum<const N: usize>(slot: Slot<'_, MyKernel, User0>, body: &XdrBuf) -> Result<u32, Error> {
    let mut data = [0; N];
    memcpy_from_page(&mut data, slot, &body.pages[0], body.page_base)?;
    Ok(data.iter().map(|&byte| u32::from(byte)).sum())
}

fn main() {
    let mut body = XdrBuf { pages: [frame(0), frame(1)], page_base: 4104 };
    put(&mut body.pages[1], 8, &[1, 2, 3, 4]);
    let sum = thread(|task| make_checksum::<4>(task.atomic().slots().user0, &body));
    assert_eq!(sum, Err(Error::OutOfBounds { offset: 4104, len: 4, size: 4096 }));
}
