//! Writing a register through a shared borrow of its frame: that maps read only.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;

fn acknowledge(slot: Slot<'_, MyKernel, Irq0>, registers: &DeviceFrame<Pae>) {
    let mut mapped = kmap_atomic(slot, registers);
    mapped.store(0xb0, 0_u32).unwrap();
}

fn main() {
    let _: fn(_, _) = acknowledge;
}
