//! A device's registers as a slice: the compiler may read one twice, or not at all.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;

fn status(slot: Slot<'_, MyKernel, User0>, registers: &DeviceFrame<Pae>) -> u32 {
    let mapped = kmap_atomic(slot, registers);
    *mapped.view::<u32>(4).unwrap()
}

fn main() {
    let _: fn(_, _) -> u32 = status;
}
