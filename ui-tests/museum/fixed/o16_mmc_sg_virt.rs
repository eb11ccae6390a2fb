//! The list is walked, page by page, each mapped in a slot of interrupts.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/usb.rs"]
mod usb;
use usb::*;
#[path = "../fixtures/mmc.rs"]
mod mmc;
use mmc::*;

fn mmc_transfer_pio(irq: &mut HardIrq<'_, MyKernel>, fifo: &mut Fifo, data: &mut Srb) {
    let mut sg_miter = SgWalk::new(irq.slots().irq0, &mut data.sg);
    while let Some(mut part) = sg_miter.next() {
        fifo.readsl(&mut part[..]);
    }
}

fn main() {
    let mut data = srb(4092, 12);
    interrupt(|irq| mmc_transfer_pio(irq, &mut Fifo { next: 1 }, &mut data));
    let mut read = [0; 12];
    let there = thread(|task| highmem::ops::sg_copy_to_buffer(&mut read, task.atomic().slots().user0, &data.sg));
    assert_eq!((there, read), (12, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]));
}
