//! The page that a guard owns is mapped a second time, and both are read.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let owner = kmap_atomic(slots.user0, frame(0));
        let reader = kmap_atomic(slots.user1, owner.page());
        assert_eq!(owner[0], 0);
        assert_eq!(reader[0], 0);
    });
}
