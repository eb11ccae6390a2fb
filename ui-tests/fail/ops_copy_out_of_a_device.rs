//! The registers of a device are copied as if they were memory.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn snapshot(slot: Slot<'_, MyKernel, User0>, registers: &DeviceFrame<Pae>, to: &mut [u8]) {
    highmem::memcpy_from_page(to, slot, registers, 0).unwrap();
}

fn main() {
    let _: fn(_, _, &mut [u8]) = snapshot;
}
