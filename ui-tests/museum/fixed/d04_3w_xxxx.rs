//! Interrupts are off for as long as their slot is in use.
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

/// Hands the data of an emulated command to the midlayer.
fn tw_transfer_internal(atomic: &mut Atomic<'_, MyKernel>, cmd: &mut ScsiCmnd, data: &[u8]) {
    let sg = &mut cmd.sg[0];
    let transfer_len = sg.length.min(data.len());
    let mut irqs_off = atomic.irqs_off();
    let mut buf = kmap_atomic(irqs_off.slots().irq0, &mut sg.page);
    buf[sg.offset..][..transfer_len].copy_from_slice(&data[..transfer_len]);
}

fn main() {
    let mut cmd = scsi_cmnd(512, 8);
    thread(|task| tw_transfer_internal(&mut task.atomic(), &mut cmd, b"3ware Logical Disk"));
    assert_eq!(get(&cmd.sg[0].page, 512), *b"3ware Lo\0\0");
}
