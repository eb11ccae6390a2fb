//! A guard is assigned over: the next page is mapped first, in the slot that the old guard then empties.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut mapped = kmap_atomic(slot.reborrow(), &pages[0]);
        let first = mapped[0];
        mapped = kmap_atomic(slot.reborrow(), &pages[1]);
        assert_eq!(mapped[0], first);
    });
}
