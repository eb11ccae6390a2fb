//! Unmapped in the branch, or at the end.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn zero(slot: Slot<'_, MyKernel, User0>, page: &mut Frame, only_head: bool) {
    let mut mapped = kmap_atomic(slot, page);
    if only_head {
        mapped[..64].fill(0);
        drop(mapped);
        return;
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
