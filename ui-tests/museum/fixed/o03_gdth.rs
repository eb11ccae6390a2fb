//! The page is mapped, and its bytes are those of the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/scatter.rs"]
mod scatter;
#[path = "../fixtures/scsi.rs"]
mod scsi;
use scsi::*;

fn gdth_copy_internal_data(irq: &mut HardIrq<'_, MyKernel>, scp: &mut ScsiCmnd, buffer: &[u8]) {
    let mut cpcount = 0;
    for sl in &mut scp.sg {
        let cpnow = sl.length.min(buffer.len() - cpcount);
        let mut page = kmap_atomic(irq.slots().irq0, &mut sl.page);
        page[sl.offset..][..cpnow].copy_from_slice(&buffer[cpcount..][..cpnow]);
        cpcount += cpnow;
    }
}

fn main() {
    let mut scp = scsi_cmnd(256, 8);
    interrupt(|irq| gdth_copy_internal_data(irq, &mut scp, b"ICP     "));
    assert_eq!(get(&scp.sg[0].page, 256), *b"ICP     \0");
}
