//! A frame buffer is mapped write-combining, but the kernel's PAT has no such type: in C, the bits would mean another one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::DeviceFrame;
use highmem::page::WriteCombining;

fn draw(slot: Slot<'_, MyKernel, User0>, line: &mut DeviceFrame<Pae, WriteCombining>) {
    kmap_atomic(slot, line).write_at(0, &[0xff; 4096]).unwrap();
}

fn main() {
    let _: fn(_, _) = draw;
}
