//! A function for any two slots is given one slot twice.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn copy<A: KmType<Set = Set>, B: KmType<Set = Set>>(
    (source, source_slot): (&Frame, Slot<'_, MyKernel, A>),
    (target, target_slot): (&mut Frame, Slot<'_, MyKernel, B>),
) {
    let from = kmap_atomic(source_slot, source);
    kmap_atomic(target_slot, target).copy_from_slice(&*from);
}

fn main() {
    let (source, mut target) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy((&source, slots.user0), (&mut target, slots.user0));
    });
}
