//! Tables are given back twice: two owners.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        let flush = edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
        edit.flush(flush);
        edit.flush(flush);
    });
}
