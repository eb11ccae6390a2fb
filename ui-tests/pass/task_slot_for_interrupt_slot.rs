//! A task calls an interrupt handler's function as a handler would: with interrupts off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn end_io(slot: Slot<'_, MyKernel, BounceRead>, page: &mut Frame) {
    kmap_atomic(slot, page).fill(0);
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        end_io(atomic.irqs_off().slots().bounce_read, &mut page);
    });
}
