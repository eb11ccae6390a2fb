//! An interrupt handler waits for other CPUs: one of them waits for this one, with interrupts off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn flush(token: Slot<'_, MyKernel, Irq0>, flush: MustFlush<MyKernel, Frame>, frames: &mut Frames) {
    flush.flush(token, frames);
}

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        let changed = edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
        interrupt(|irq| flush(irq.slots().irq0, changed, &mut frames));
    });
}
