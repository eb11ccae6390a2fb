//! A token is read where nothing was written: it has no bytes that could be wrong.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::mem::ManuallyDrop;

union Loot<'cx> {
    nothing: (),
    token: ManuallyDrop<Slot<'cx, MyKernel, User0>>,
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let slot = ManuallyDrop::into_inner(Loot { nothing: () }.token); // attack
        drop(kmap_atomic(slot, &page));
    });
}
