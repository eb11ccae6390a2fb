//! A token is taken by a pattern, and again by its name.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use highmem::linux::AtomicSlots;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let AtomicSlots { user0, .. } = slots;
        let mapped = kmap_atomic(user0, &page);
        let other = kmap_atomic(slots.user0, &page); // attack
        assert_eq!(other[0], 0); // attack
        assert_eq!(mapped[0], 0);
    });
}
