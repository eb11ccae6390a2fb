//! A guard is dropped before the next page is mapped in its slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mapped = kmap_atomic(slot.reborrow(), &pages[0]);
        let first = mapped[0];
        drop(mapped);
        let mapped = kmap_atomic(slot.reborrow(), &pages[1]);
        assert_eq!(mapped[0], first);
    });
}
