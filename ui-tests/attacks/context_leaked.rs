//! A context is leaked, so that it never ends, and the task used again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let atomic = Box::leak(Box::new(task.atomic()));
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        wait(task); // attack
        assert_eq!(mapped[0], 0);
    });
}
