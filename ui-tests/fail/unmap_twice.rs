//! Unmapped on the way out of a branch, and again at the end: the second may end somebody else's mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn zero(slot: Slot<'_, MyKernel, User0>, page: &mut Frame, only_head: bool) {
    let mut mapped = kmap_atomic(slot, page);
    if only_head {
        mapped[..64].fill(0);
        drop(mapped);
    }
    kunmap_atomic(mapped);
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        zero(atomic.slots().user0, &mut page, true);
    });
}
