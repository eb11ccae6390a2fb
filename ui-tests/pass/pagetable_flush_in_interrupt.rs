//! A task waits for other CPUs.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn flush(token: Slot<'_, MyKernel, User0>, flush: MustFlush<MyKernel, Frame>, frames: &mut Frames) {
    flush.flush(token, frames);
}

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        let changed = edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
        flush(slots.user0, changed, &mut frames);
    });
}
