//! A closure lends its slot to each mapping, one after the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut first = |page: Frame| kmap_atomic(slot.reborrow(), page)[0];
        let (one, two) = (first(frame(0)), first(frame(1)));
        assert_eq!(one, two);
    });
}
