//! A range is unmapped when none of its entries is mapped any more.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let entry = space.entry(slots.user0, 0x1000).unwrap();
        assert!(entry.leaf().unwrap().is_some());
        entry.unmap();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        let flush = edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
        edit.flush(flush);
    });
}
