//! A token is lent.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        kmap_atomic(slot.reborrow(), &mut page).fill(0);
        kmap_atomic(slot, &mut page).fill(1);
    });
}
