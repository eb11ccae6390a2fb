//! A09, libata DMA padding: both copies of the padding unmap a page.
//!
//! Linux, `drivers/scsi/libata-core.c`, 2005. Introduced in cedc9a478d8, fixed in dfa159886f3. Seen: the diff.
//!
//! ```c
//! a = kmap_atomic(pg, KM_IRQ0);
//! memcpy(a + o, pad, n);
//! kunmap_atomic(pg, KM_IRQ0);
//! ```
//!
//! The lesson of 2004 was a year old, and here it was again, twice in one file. Here a page is no mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/scatter.rs"]
mod scatter;
use scatter::*;

/// After a transfer: the last bytes, which went to a buffer of even length, belong to the end of the list.
fn ata_sg_clean(slot: Slot<'_, MyKernel, Irq0>, lsg: &mut Sg, pad: &[u8]) {
    let at = lsg.offset + lsg.length - pad.len();
    let mut addr = kmap_atomic(slot, &mut lsg.page);
    addr[at..][..pad.len()].copy_from_slice(pad);
    kunmap_atomic(&mut lsg.page);
}

fn main() {
    let mut sgs = scatterlist();
    interrupt(|irq| ata_sg_clean(irq.slots().irq0, &mut sgs[1], b"end"));
    assert_eq!(get(&sgs[1].page, 1532), *b"\0end\0");
}
