//! O07, GFS2: a block is zeroed by way of its buffer head's pointer, which is null in high memory.
//!
//! Linux, `fs/gfs2/quota.c`, 2010. Fixed in 8b4216018bd. Seen: the diff.
//!
//! ```c
//! memset(bh->b_data, 0, n);
//! ```
//!
//! `b_data` is `page_address()` plus an offset, kept in a structure; the fix is `zero_user()`. Here a buffer head has a page, and the
//! page's bytes are not there to be filled.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/buffer_head.rs"]
mod buffer_head;
use buffer_head::*;

fn gfs2_adjust_quota(_task: &mut Task<'_>, bh: &mut BufferHead<'_>) {
    bh.b_page[bh.offset..][..bh.b_size].fill(0);
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
