//! A guard's `Drop` is switched off, and its slot is used again when its bytes are not.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::mem::ManuallyDrop;

fn main() {
    let (mut one, mut two) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut kept = ManuallyDrop::new(kmap_atomic(slot.reborrow(), &mut one));
        kept.fill(1);
        kmap_atomic(slot, &mut two).fill(2);
    });
}
