//! D10, scatter lists: a helper maps in a slot of interrupts, and its callers do not know that they have to turn them off.
//!
//! Linux, `lib/scatterlist.c`, 2008. Fixed in 50bed2e2862, after bug 11529. Seen: the diff.
//!
//! ```c
//! sg_copy_buffer() {
//!         miter ATOMIC -> kmap_atomic(pg, KM_BIO_SRC_IRQ)
//! ```
//!
//! The callers were to do it, and forgot. The fix turns interrupts off inside of the helper. Here the helper's parameter says what it
//! needs, and a caller that does not have it does not compile.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/scatter.rs"]
mod scatter;
use scatter::*;
#[path = "fixtures/scsi.rs"]
mod scsi;
use scsi::*;

/// Copies from a buffer to the entries of a list, and says how much.
fn sg_copy_buffer(irqs_off: &mut IrqsOff<'_, MyKernel>, sgl: &mut [Sg], buf: &[u8]) -> usize {
    let mut offset = 0;
    for sg in sgl {
        let len = sg.length.min(buf.len() - offset);
        let mut addr = kmap_atomic(irqs_off.slots().bio_src_irq, &mut sg.page);
        addr[sg.offset..][..len].copy_from_slice(&buf[offset..][..len]);
        offset += len;
    }
    offset
}

/// The answer of a simulated disk.
fn fill_from_dev_buffer(atomic: &mut Atomic<'_, MyKernel>, scp: &mut ScsiCmnd, arr: &[u8]) -> usize {
    sg_copy_buffer(atomic, &mut scp.sg, arr)
}

fn main() {
    let mut scp = scsi_cmnd(4, 6);
    scp.sg.push(Sg { page: frame(1), offset: 0, length: 6 });
    assert_eq!(thread(|task| fill_from_dev_buffer(&mut task.atomic(), &mut scp, b"scsi_debug")), 10);
    assert_eq!(get(&scp.sg[0].page, 4), *b"scsi_d");
    assert_eq!(get(&scp.sg[1].page, 0), *b"ebug\0");
}
