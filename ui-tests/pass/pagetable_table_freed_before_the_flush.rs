//! Tables go back to the allocator behind the flush.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut edit = space.edit(slots.pte0.reborrow(), slots.pte1, &mut frames);
        let flush = edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
        assert_eq!(flush.tables(), 2);
        flush.flush(slots.pte0, &mut frames);
    });
}
