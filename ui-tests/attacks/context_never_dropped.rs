//! A context that is never dropped does not hold its task any less.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::mem::ManuallyDrop;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = ManuallyDrop::new(task.atomic());
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let mut second = task.atomic(); // attack
        let other = kmap_atomic(second.slots().user0, &page); // attack
        assert_eq!(other[0], 0); // attack
        assert_eq!(mapped[0], 0);
    });
}
