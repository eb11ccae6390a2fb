//! Bytes of a device are copied by the mapping, each read once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn snapshot(slot: Slot<'_, MyKernel, User0>, registers: &DeviceFrame<Pae>, to: &mut [u8]) {
    kmap_atomic(slot, registers).read_at(0, to).unwrap();
}

fn main() {
    let _: fn(_, _, &mut [u8]) = snapshot;
}
