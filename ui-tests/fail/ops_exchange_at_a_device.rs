//! A register is read, changed and written in one step: a device need not allow that.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn acknowledge(slot: Slot<'_, MyKernel, User0>, registers: &mut DeviceFrame<Pae>) {
    kmap_atomic(slot, registers).fetch_update(4, |status: u32| status | 1).unwrap();
}

fn main() {
    let _: fn(_, _) = acknowledge;
}
