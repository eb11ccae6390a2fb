//! The registers of a device are filled with zeros, in words of any size and in any order.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn reset(slot: Slot<'_, MyKernel, User0>, registers: &mut DeviceFrame<Pae>) {
    highmem::clear_highpage(slot, registers);
}

fn main() {
    let _: fn(_, _) = reset;
}
