//! O16, MMC: hosts without DMA read into `sg_virt()` of an entry.
//!
//! Linux, `drivers/mmc/host`, 2024. lore 20240127-mmc-proper-kmap-v2, a series of 9. Seen: the diff.
//!
//! ```c
//! b = sg_virt(sg);
//! readsl(.., b, n);
//! ```
//!
//! The series goes through nine drivers, and the fix is a walk that maps, `sg_miter`. `sg_virt()` is the address of a page plus an offset.
//! Here an entry of a list has none, and its bytes come from a walk, page by page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/usb.rs"]
mod usb;
use usb::*;
#[path = "fixtures/mmc.rs"]
mod mmc;
use mmc::*;

fn mmc_transfer_pio(_irq: &mut HardIrq<'_, MyKernel>, fifo: &mut Fifo, data: &mut Srb) {
    for sg in &mut data.sg {
        fifo.readsl(&mut sg[..]);
    }
}

fn main() {
    let mut data = srb(4092, 12);
    interrupt(|irq| mmc_transfer_pio(irq, &mut Fifo { next: 1 }, &mut data));
    let mut read = [0; 12];
    let there = thread(|task| highmem::ops::sg_copy_to_buffer(&mut read, task.atomic().slots().user0, &data.sg));
    assert_eq!((there, read), (12, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]));
}
