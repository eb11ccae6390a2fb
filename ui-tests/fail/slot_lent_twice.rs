//! A lent slot is lent again before the first guard goes out of scope, though nobody looks at its bytes again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (mut one, mut two) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut first = kmap_atomic(slot.reborrow(), &mut one);
        first.fill(1);
        let mut second = kmap_atomic(slot.reborrow(), &mut two);
        second.fill(2);
    });
}
