//! A task calls an interrupt handler's function, with a slot of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn end_io(slot: Slot<'_, MyKernel, BounceRead>, page: &mut Frame) {
    kmap_atomic(slot, page).fill(0);
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        end_io(atomic.slots().user0, &mut page);
    });
}
