//! A register is loaded and stored.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn acknowledge(slot: Slot<'_, MyKernel, User0>, registers: &mut DeviceFrame<Pae>) {
    let mut mapped = kmap_atomic(slot, registers);
    let status = mapped.load::<u32>(4).unwrap();
    mapped.store(4, status | 1).unwrap();
}

fn main() {
    let _: fn(_, _) = acknowledge;
}
