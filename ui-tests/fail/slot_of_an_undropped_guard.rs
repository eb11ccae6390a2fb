//! A guard's `Drop` is switched off to have its slot back while its bytes stay in use.
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
        kmap_atomic(slot, &mut two).fill(2);
        kept.fill(1);
    });
}
