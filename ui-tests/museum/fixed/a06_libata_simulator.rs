//! What is unmapped is what mapping returned.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/scatter.rs"]
mod scatter;
use scatter::*;

/// Maps the response buffer of a command.
fn ata_scsi_rbuf_get<'a>(slot: Slot<'a, MyKernel, User0>, sg: &'a mut Sg) -> SgMap<'a> {
    SgMap { mapping: kmap_atomic(slot, &mut sg.page), offset: sg.offset, length: sg.length }
}

/// Has a command simulated.
fn ata_scsi_rbuf_fill(slot: Slot<'_, MyKernel, User0>, sg: &mut Sg, actor: impl FnOnce(&mut [u8])) {
    let mut rbuf = ata_scsi_rbuf_get(slot, sg);
    actor(rbuf.bytes());
    kunmap_atomic(rbuf.mapping);
}

/// Simulates INQUIRY.
fn ata_scsiop_inq_std(rbuf: &mut [u8]) {
    rbuf[8..16].copy_from_slice(b"ATA     ");
}

fn main() {
    let mut sgs = scatterlist();
    thread(|task| ata_scsi_rbuf_fill(task.atomic().slots().user0, &mut sgs[1], ata_scsiop_inq_std));
    assert_eq!(get(&sgs[1].page, 520), *b"ATA     ");
}
