//! A guard is leaked, and its slot is used again when its bytes are not.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (mut one, mut two) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let leaked = Box::leak(Box::new(kmap_atomic(slot.reborrow(), &mut one)));
        leaked.fill(1);
        kmap_atomic(slot, &mut two).fill(2);
    });
}
