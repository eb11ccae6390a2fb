//! A token comes out of a context.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slot: Slot<'_, MyKernel, User0> = atomic.slots().user0;
        kmap_atomic(slot, &mut page).fill(0);
    });
}
