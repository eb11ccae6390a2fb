//! The handler keeps interrupts off while it moves the data.
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

/// Programmed input: the device's next bytes.
fn atapi_input_bytes(to: &mut [u8]) {
    to.fill(0x5a);
}

fn idescsi_input_buffers(slot: Slot<'_, MyKernel, Irq0>, cmd: &mut ScsiCmnd, bcount: usize) {
    let sg = &mut cmd.sg[0];
    let count = sg.length.min(bcount);
    let mut buf = kmap_atomic(slot, &mut sg.page);
    atapi_input_bytes(&mut buf[sg.offset..][..count]);
}

/// The drive may be slow: interrupts are let in meanwhile.
fn idescsi_pc_intr(irq: &mut HardIrq<'_, MyKernel>, cmd: &mut ScsiCmnd) {
    irq.with_irqs_on(|| wait_for_drq());
    idescsi_input_buffers(irq.slots().irq0, cmd, 36);
}

/// Waits until the device is ready.
fn wait_for_drq() {}

fn main() {
    let mut cmd = scsi_cmnd(0, 4);
    interrupt(|irq| idescsi_pc_intr(irq, &mut cmd));
    assert_eq!(get(&cmd.sg[0].page, 0), [0x5a, 0x5a, 0x5a, 0x5a, 0]);
}
