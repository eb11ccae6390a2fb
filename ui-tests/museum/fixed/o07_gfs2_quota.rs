//! The block is zeroed by the helper that maps its page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/buffer_head.rs"]
mod buffer_head;
use buffer_head::*;

fn gfs2_adjust_quota(task: &mut Task<'_>, bh: &mut BufferHead<'_>) {
    let (offset, size) = (bh.offset, bh.b_size);
    highmem::memzero_page(task.atomic().slots().user0, &mut *bh.b_page, offset, size).expect("within the page");
    bh.uptodate = true;
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, &[7; 4096]);
    let mut bh = BufferHead { b_page: &mut page, offset: 1024, b_size: 1024, uptodate: false };
    thread(|task| gfs2_adjust_quota(task, &mut bh));
    assert!(bh.uptodate);
    assert_eq!((get(&page, 1023), get(&page, 2046)), ([7, 0, 0], [0, 0, 7]));
}
