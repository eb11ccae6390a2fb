//! Bytes of a page are called.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        mapped.view::<fn()>(0).unwrap()(); // attack
        assert_eq!(mapped[0], 0);
    });
}
