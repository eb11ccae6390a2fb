//! Generic code makes a second token from one, whatever its slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn twice<S: KmType<Set = Set>>(slot: Slot<'_, MyKernel, S>, page: &Frame) {
    let slots = (
        slot, // attack
        slot,
    );
    drop(slots);
    assert_eq!(page.pfn().number(), 0);
}

fn main() {
    thread(|task| twice(task.atomic().slots().user0, &frame(0)));
}
