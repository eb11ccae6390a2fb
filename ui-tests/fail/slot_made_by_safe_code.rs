//! A token is made without a promise.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let slot = Slot::<'_, MyKernel, User0>::new();
        kmap_atomic(slot, &mut page).fill(0);
        wait(task);
    });
}
