//! Each slot has its own token.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let (one, two) = (slots.user0, slots.user1);
        let (one, two) = (kmap_atomic(one, frame(0)), kmap_atomic(two, frame(1)));
        assert_eq!(one[0], two[0]);
    });
}
