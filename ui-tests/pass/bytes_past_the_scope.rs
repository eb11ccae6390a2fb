//! A pointer into the page is used in the block that mapped it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let first;
        {
            let mapped = kmap_atomic(atomic.slots().user0, &page);
            first = mapped[0];
        }
        assert_eq!(first, 0);
    });
}
