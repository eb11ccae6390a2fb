//! D09, NTFS: the end of a read maps in the slot of block requests, and does not turn interrupts off.
//!
//! Linux, `fs/ntfs/aops.c`, 2007. Fixed in fa8609da993. Seen: the diff.
//!
//! ```c
//! end_io() {
//!         k = kmap_atomic(pg, KM_BIO_SRC_IRQ);
//!         memset(k + o, 0, n);
//! ```
//!
//! Nothing in the function says who calls it, and with interrupts on or off. Here its context does: a softirq can be interrupted, and that
//! slot is none of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/buffer_head.rs"]
mod buffer_head;
use buffer_head::*;

/// Zeroes what is behind the initialized part of a file.
fn ntfs_end_buffer_async_read(softirq: &mut Softirq<'_, MyKernel>, bh: &mut BufferHead<'_>, initialized: usize) {
    bh.uptodate = true;
    let ofs = initialized.saturating_sub(bh.offset).min(bh.b_size);
    let mut kaddr = kmap_atomic(softirq.slots().bio_src_irq, &mut *bh.b_page);
    kaddr[bh.offset..][ofs..bh.b_size].fill(0);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, &[7; 4096]);
    let mut bh = BufferHead { b_page: &mut page, offset: 512, b_size: 512, uptodate: false };
    softirq(|cx| ntfs_end_buffer_async_read(cx, &mut bh, 1022));
    assert!(bh.uptodate);
    assert_eq!(get(&page, 1020), [7, 7, 0, 0, 7]);
}
