//! The caller has one slot in use, the callee another.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn clear_highpage<S: KmType<Set = Set>>(slot: Slot<'_, MyKernel, S>, page: &mut Frame) {
    kmap_atomic(slot, page).fill(0);
}

fn main() {
    let (source, mut target) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let from = kmap_atomic(slots.user0, &source);
        clear_highpage(slots.user1, &mut target);
        assert_eq!(from[0], 0);
    });
}
