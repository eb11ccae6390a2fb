//! A function asks for the token of a type that is no slot type.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Scratch;

fn map(slot: Slot<'_, MyKernel, Scratch>, page: Frame) {
    let _mapped = kmap_atomic(slot, page);
}

fn main() {
    let _: fn(Slot<'_, MyKernel, Scratch>, Frame) = map;
}
