//! A token is written down as a struct.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let slot: Slot<'_, MyKernel, User0> = Slot { context: Default::default(), types: Default::default() };
        kmap_atomic(slot, &mut page).fill(0);
        wait(task);
    });
}
