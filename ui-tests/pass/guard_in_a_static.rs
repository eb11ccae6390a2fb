//! The page in a `static`, and the guard where it is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static ZEROED: Global<Frame> = Global::empty();

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, frame(0));
        mapped.fill(0);
        let (_slot, page) = kunmap_atomic(mapped);
        ZEROED.put(page);
    });
    assert!(ZEROED.take().is_some());
}
