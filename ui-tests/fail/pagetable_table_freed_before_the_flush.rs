//! A table goes back to the allocator before the CPUs are told: a page walker is still in it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let flush = space.edit(slots.pte0, slots.pte1, &mut frames).unmap(Pages::one(0x1000), |_| ()).unwrap();
        frames.give_back(flush);
    });
}
