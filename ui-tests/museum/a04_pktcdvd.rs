//! A04, pktcdvd: both unmaps of a packet's copy were given pages.
//!
//! Linux, `drivers/block/pktcdvd.c`, 2004. Fixed in 5ec97f0e00 (history before git); LKML 20041024032546.52314e23. Seen: the diff.
//!
//! ```c
//! v = kmap_atomic(pages[i], KM_USER0) + off;
//! memcpy(dst, v, n);
//! kunmap_atomic(pages[i], KM_USER0);
//! ```
//!
//! `kunmap()` takes the page, `kunmap_atomic()` the address, and C passes either as a `void *`. Two calls in one driver, in October
//! 2004; LWN wrote about such calls a month later. Here a page is no mapping, and the guard is the only thing that is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Gathers a frame of the disc from the parts of a request, `offs` bytes into part `seg`.
fn pkt_copy_bio_data(slot: &mut Slot<'_, MyKernel, User0>, src: &Bio, seg: usize, mut offs: usize, dst: &mut [u8]) {
    let mut done = 0;
    for part in &src.io_vec[seg..] {
        let len = (dst.len() - done).min(part.len - offs);
        let from = kmap_atomic(slot.reborrow(), &part.page);
        dst[done..][..len].copy_from_slice(&from[part.offset + offs..][..len]);
        kunmap_atomic(&part.page);
        done += len;
        offs = 0;
    }
}

fn main() {
    let mut request = bio();
    put(&mut request.io_vec[0].page, 4092, b"pack");
    put(&mut request.io_vec[1].page, 512, b"et");
    let mut frame = [0; 6];
    thread(|task| pkt_copy_bio_data(&mut task.atomic().slots().user0, &request, 0, 4092, &mut frame));
    assert_eq!(frame, *b"packet");
}
