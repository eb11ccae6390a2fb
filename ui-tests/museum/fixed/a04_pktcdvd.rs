//! The guard ends the mapping at the end of each round.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Gathers a frame of the disc from the parts of a request, `offs` bytes into part `seg`.
fn pkt_copy_bio_data(slot: &mut Slot<'_, MyKernel, User0>, src: &Bio, seg: usize, mut offs: usize, dst: &mut [u8]) {
    let mut done = 0;
    for part in &src.io_vec[seg..] {
        let len = (dst.len() - done).min(part.len - offs);
        let from = kmap_atomic(slot.reborrow(), &part.page);
        dst[done..][..len].copy_from_slice(&from[part.offset + offs..][..len]);
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
