//! A register of a device is stored with one access.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn reset(slot: Slot<'_, MyKernel, User0>, registers: &mut DeviceFrame<Pae>) {
    kmap_atomic(slot, registers).store(16, 0_u32).unwrap();
}

fn main() {
    let _: fn(_, _) = reset;
}
