//! A frame of a device in a slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn enable(slot: Slot<'_, MyKernel, User0>, registers: &mut DeviceFrame<Pae>) {
    let registers = kmap_atomic(slot, registers);
    assert_eq!(registers.load::<u32>(0), Ok(1));
}

fn main() {
    let _: fn(Slot<'_, MyKernel, User0>, &mut DeviceFrame<Pae>) = enable;
}
