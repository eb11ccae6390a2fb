//! Generic code is asked for another slot than the one whose token it has.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn map<S: KmType<Set = Set>, T: KmType<Set = Set>>(slot: Slot<'_, MyKernel, S>, page: &Frame) {
    let slot: Slot<'_, MyKernel, T> = slot; // attack
    drop(kmap_atomic(slot, page));
}

fn main() {
    thread(|task| map::<User0, User1>(task.atomic().slots().user0, &frame(0)));
}
