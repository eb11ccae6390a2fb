//! The page of each part is mapped while it is copied.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

fn bio_to_buf(atomic: &mut Atomic<'_, MyKernel>, buf: &mut [u8], bio: &Bio) {
    let mut done = 0;
    for bv in &bio.io_vec {
        let data = kmap_atomic(atomic.slots().user0, &bv.page);
        buf[done..][..bv.len].copy_from_slice(&data[bv.offset..bv.offset + bv.len]);
        done += bv.len;
    }
}

fn main() {
    let mut bio = bio();
    put(&mut bio.io_vec[0].page, 4092, b"data");
    put(&mut bio.io_vec[1].page, 512, b" and more");
    let mut buf = [0; 5120];
    thread(|task| bio_to_buf(&mut task.atomic(), &mut buf, &bio));
    assert_eq!(buf[4092..4105], *b"data and more");
}
