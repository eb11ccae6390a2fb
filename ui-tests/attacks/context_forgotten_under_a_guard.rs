//! A context is forgotten while a guard of it is in use: what is forgotten could be made again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        std::mem::forget(atomic); // attack
        assert_eq!(mapped[0], 0);
    });
}
