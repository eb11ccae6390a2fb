//! B09, IDE multi-out: `buf` is mapped and `buffer` is unmapped.
//!
//! Linux, `drivers/ide/ide-disk.c`, 2002. Fixed in 03a4e6f447 (history before git). Seen: the diff.
//!
//! ```c
//! buf = bio_kmap_irq(bio, &f);
//! xfer(buf);
//! bio_kunmap_irq(buffer, &f);
//! ```
//!
//! Two pointers with nearly one name, and of one type. Here a buffer is not of the type of a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::linux::BioSrcIrq;

/// Writes the sectors of a request to the drive's data register, which takes them one after the other into its `buffer`.
fn ide_multwrite(slot: &mut Slot<'_, MyKernel, BioSrcIrq>, request: &mut Bio, mut buffer: &mut [u8]) {
    for bvec in &mut request.io_vec {
        let (buf, part) = bvec_kmap_irq(slot.reborrow(), bvec);
        let (sectors, rest) = buffer.split_at_mut(part.len());
        sectors.copy_from_slice(&buf[part]);
        buffer = rest;
        bvec_kunmap_irq(&mut *buffer);
    }
}

fn main() {
    let mut request = bio();
    put(&mut request.io_vec[0].page, 0, b"first");
    put(&mut request.io_vec[1].page, 512, b"second");
    let mut drive = vec![0; 5120];
    interrupt(|irq| ide_multwrite(&mut irq.slots().bio_src_irq, &mut request, &mut drive));
    assert_eq!(&drive[..5], b"first");
    assert_eq!(&drive[4096..][..6], b"second");
}
