//! With interrupts off, the slot is one of interrupts.
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

type Rbuf<'a> = KmapAtomic<'a, MyKernel, Irq0, &'a mut Frame>;

/// Maps the buffer of a command. The caller holds the host's lock, and has interrupts off.
fn ata_scsi_rbuf_get<'a>(irqs_off: &'a mut IrqsOff<'_, MyKernel>, cmd: &'a mut ScsiCmnd) -> Rbuf<'a> {
    kmap_atomic(irqs_off.slots().irq0, &mut cmd.sg[0].page)
}

fn ata_scsi_simulate(irqs_off: &mut IrqsOff<'_, MyKernel>, cmd: &mut ScsiCmnd) {
    let mut rbuf = ata_scsi_rbuf_get(irqs_off, cmd);
    rbuf[8..16].copy_from_slice(b"ATA     ");
}

fn main() {
    let mut cmd = scsi_cmnd(0, 36);
    thread(|task| {
        let mut atomic = task.atomic();
        ata_scsi_simulate(&mut atomic.irqs_off(), &mut cmd);
    });
    assert_eq!(get(&cmd.sg[0].page, 8), *b"ATA     ");
}
