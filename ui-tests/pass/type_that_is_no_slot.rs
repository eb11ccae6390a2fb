//! A function asks for the token of a slot type.
#[path = "../prelude.rs"]
mod prelude;
use User0 as Scratch;
use prelude::*;

fn map(slot: Slot<'_, MyKernel, Scratch>, page: Frame) {
    let _mapped = kmap_atomic(slot, page);
}

fn main() {
    thread(|task| map(task.atomic().slots().user0, frame(0)));
}
