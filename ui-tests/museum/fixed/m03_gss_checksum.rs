//! `page_base` is an index and an offset.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::{PAGE_SIZE, memcpy_from_page, ops::Error};

/// `struct xdr_buf`: the data of a message.
struct XdrBuf {
    pages: [Frame; 2],
    page_base: usize,
}

/// The sum of the first `N` bytes of the data.
fn make_checksum<const N: usize>(slot: Slot<'_, MyKernel, User0>, body: &XdrBuf) -> Result<u32, Error> {
    let mut data = [0; N];
    let (index, offset) = (body.page_base / PAGE_SIZE, body.page_base % PAGE_SIZE);
    memcpy_from_page(&mut data, slot, &body.pages[index], offset)?;
    Ok(data.iter().map(|&byte| u32::from(byte)).sum())
}

fn main() {
    let mut body = XdrBuf { pages: [frame(0), frame(1)], page_base: 4104 };
    put(&mut body.pages[1], 8, &[1, 2, 3, 4]);
    let sum = thread(|task| make_checksum::<4>(task.atomic().slots().user0, &body));
    assert_eq!(sum, Ok(10));
}
