//! A token is used while its context lives.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let slot;
        let mut atomic = task.atomic();
        {
            slot = atomic.slots().user0;
        }
        kmap_atomic(slot, &mut page).fill(0);
    });
}
