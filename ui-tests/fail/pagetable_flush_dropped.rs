//! A page is unmapped, and no CPU is told: they go on using it, and the frame is somebody else's by then.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
    });
}
