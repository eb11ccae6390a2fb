//! The lent token changes places with the one that it was lent from.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut lent = slot.reborrow();
        std::mem::swap(&mut slot, &mut lent); // attack
        let mapped = kmap_atomic(lent.reborrow(), &page);
        assert_eq!(mapped[0], 0);
    });
}
