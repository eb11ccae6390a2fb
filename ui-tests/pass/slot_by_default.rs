//! A token comes out of a context.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slot: Slot<'_, MyKernel, User0> = atomic.slots().user0;
        kmap_atomic(slot, frame(0)).fill(0);
    });
}
