//! `kunmap_atomic` once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let (slot, page) = kunmap_atomic(mapped);
        let mut again = kmap_atomic(slot, page);
        again.fill(0);
    });
}
