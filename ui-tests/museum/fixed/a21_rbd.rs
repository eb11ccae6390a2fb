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

/// Zeroes a request from byte `start_ofs` on: the object ends there.
fn zero_bio_chain(slot: &mut Slot<'_, MyKernel, BioSrcIrq>, chain: &mut Bio, start_ofs: usize) {
    let mut pos = 0;
    for bv in &mut chain.io_vec {
        let end = pos + bv.len;
        if end > start_ofs {
            let remainder = start_ofs.saturating_sub(pos);
            let (mut buf, part) = bvec_kmap_irq(slot.reborrow(), bv);
            buf[part][remainder..].fill(0);
            bvec_kunmap_irq(buf);
        }
        pos = end;
    }
}

fn main() {
    let mut chain = bio();
    put(&mut chain.io_vec[0].page, 4092, b"data");
    put(&mut chain.io_vec[1].page, 512, b"more data");
    thread(|task| zero_bio_chain(&mut task.atomic().irqs_off().slots().bio_src_irq, &mut chain, 4096 + 4));
    assert_eq!(get(&chain.io_vec[0].page, 4092), *b"data");
    assert_eq!(get(&chain.io_vec[1].page, 512), *b"more\0\0\0\0\0");
}
