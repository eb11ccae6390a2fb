//! A device's registers are loaded and stored, each with one access.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;

fn status(slot: Slot<'_, MyKernel, User0>, registers: &DeviceFrame<Pae>) -> u32 {
    let mapped = kmap_atomic(slot, registers);
    mapped.load::<u32>(4).unwrap()
}

fn main() {
    let _: fn(_, _) -> u32 = status;
}
