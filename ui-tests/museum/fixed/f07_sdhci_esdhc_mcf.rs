//! The handler maps in a slot of interrupts.
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

/// The controller has the bytes of each word the other way round.
fn esdhc_mcf_buffer_swap32(buf: &mut [u8]) {
    buf.chunks_exact_mut(4).for_each(<[u8]>::reverse);
}

fn esdhc_mcf_request_done(irq: &mut HardIrq<'_, MyKernel>, cmd: &mut ScsiCmnd) {
    for sg in &mut cmd.sg {
        let mut buffer = kmap_atomic(irq.slots().irq0, &mut sg.page);
        esdhc_mcf_buffer_swap32(&mut buffer[sg.offset..][..sg.length]);
    }
}

fn main() {
    let mut mrq = scsi_cmnd(8, 8);
    put(&mut mrq.sg[0].page, 8, b"dcbahgfe_");
    interrupt(|irq| esdhc_mcf_request_done(irq, &mut mrq));
    assert_eq!(get(&mrq.sg[0].page, 8), *b"abcdefgh_");
}
