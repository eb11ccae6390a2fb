//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::linux::BioSrcIrq;

/// Answers a read: there is nothing but zeros.
fn zero_fill_bio(slot: &mut Slot<'_, MyKernel, BioSrcIrq>, bio: &mut Bio) {
    for bv in &mut bio.io_vec {
        let (mut data, part) = bvec_kmap_irq(slot.reborrow(), bv);
        data[part].fill(0);
        bvec_kunmap_irq(data);
    }
}

fn main() {
    let mut read = bio();
    put(&mut read.io_vec[0].page, 4092, b"here");
    put(&mut read.io_vec[1].page, 508, b"out here");
    thread(|task| zero_fill_bio(&mut task.atomic().irqs_off().slots().bio_src_irq, &mut read));
    assert_eq!(get(&read.io_vec[0].page, 4092), [0; 4]);
    assert_eq!(get(&read.io_vec[1].page, 508), *b"out \0\0\0\0");
}
