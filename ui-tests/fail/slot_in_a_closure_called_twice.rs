//! A closure that has taken a slot is called twice, and both mappings are kept.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let map = |page: Frame| kmap_atomic(slot, page);
        let (one, two) = (map(frame(0)), map(frame(1)));
        assert_eq!(one[0], two[0]);
    });
}
