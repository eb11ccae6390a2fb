//! A guard is what a panic carries, to whoever catches it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        assert_eq!(mapped[0], 0);
        std::panic::resume_unwind(Box::new(mapped)); // attack
    });
}
