//! There is no function that unmaps: the guard does.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/scatter.rs"]
mod scatter;
use highmem::linux::BioSrcIrq;
use scatter::*;

/// A controller that reads and writes a byte at a time.
struct WbsdHost {
    sg: [Sg; 2],
    cur_sg: usize,
}

fn wbsd_kmap_sg<'a>(
    slot: Slot<'a, MyKernel, BioSrcIrq>,
    host: &'a WbsdHost,
) -> KmapAtomic<'a, MyKernel, BioSrcIrq, &'a Frame> {
    kmap_atomic(slot, &host.sg[host.cur_sg].page)
}

/// Fills the controller's queue from the current segment.
fn wbsd_fill_fifo(slot: Slot<'_, MyKernel, BioSrcIrq>, host: &WbsdHost, fifo: &mut [u8]) {
    let buffer = wbsd_kmap_sg(slot, host);
    let offset = host.sg[host.cur_sg].offset;
    fifo.copy_from_slice(&buffer[offset..][..fifo.len()]);
}

fn main() {
    let mut host = WbsdHost { sg: scatterlist(), cur_sg: 1 };
    put(&mut host.sg[1].page, 512, b"to the card");
    let mut fifo = [0; 11];
    interrupt(|irq| wbsd_fill_fifo(irq.slots().bio_src_irq, &host, &mut fifo));
    assert_eq!(&fifo, b"to the card");
}
