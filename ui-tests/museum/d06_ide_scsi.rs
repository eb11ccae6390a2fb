//! D06, ide-scsi: a clean-up takes away what kept interrupts off, and leaves their slot.
//!
//! Linux, `drivers/scsi/ide-scsi.c`, 2005. Introduced in 17fd47ab4d3, reverted the next day in a717f77362d. Seen: the diff.
//!
//! ```c
//! -       if (highmem) { local_irq_save(flags); kmap_atomic(pg, KM_IRQ0) .. local_irq_restore(flags); }
//! +       b = kmap_atomic(pg, KM_IRQ0); pio(b); kunmap_atomic(b, KM_IRQ0);
//! ```
//!
//! The slot is meant for whoever has interrupts off, and the code that turned them off was what looked superfluous. Here a handler that
//! lets interrupts in has no token of these slots meanwhile.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/scatter.rs"]
mod scatter;
#[path = "fixtures/scsi.rs"]
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
    let slots = irq.slots();
    irq.with_irqs_on(|| idescsi_input_buffers(slots.irq0, cmd, 36));
}

/// Waits until the device is ready.
fn wait_for_drq() {}

fn main() {
    wait_for_drq();
    let mut cmd = scsi_cmnd(0, 4);
    interrupt(|irq| idescsi_pc_intr(irq, &mut cmd));
    assert_eq!(get(&cmd.sg[0].page, 0), [0x5a, 0x5a, 0x5a, 0x5a, 0]);
}
