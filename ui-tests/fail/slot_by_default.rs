//! A token is made of nothing.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let slot: Slot<'_, MyKernel, User0> = Default::default();
        kmap_atomic(slot, frame(0)).fill(0);
        wait(task);
    });
}
