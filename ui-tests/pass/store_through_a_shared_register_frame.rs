//! Writing a register through the exclusive borrow of its frame.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;

fn acknowledge(slot: Slot<'_, MyKernel, Irq0>, registers: &mut DeviceFrame<Pae>) {
    let mut mapped = kmap_atomic(slot, registers);
    mapped.store(0xb0, 0_u32).unwrap();
}

fn main() {
    let _: fn(_, _) = acknowledge;
}
