//! A frame is lent.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let one = kmap_atomic(slots.user0, &page);
        let two = kmap_atomic(slots.user1, &page);
        assert_eq!(one[0], two[0]);
    });
}
