//! A token is made of nothing by a conversion that is safe for plain data.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let slot: Slot<'_, MyKernel, User0> = zerocopy::transmute!(()); // attack
        drop(kmap_atomic(slot, &page));
    });
}
