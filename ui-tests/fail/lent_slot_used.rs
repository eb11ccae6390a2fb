//! A slot is used while a guard has it on loan.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (one, mut two) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let from = kmap_atomic(slot.reborrow(), &one);
        let mut to = kmap_atomic(slot, &mut two);
        to[0] = from[0];
    });
}
