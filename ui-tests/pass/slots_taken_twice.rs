//! A context is asked for its tokens once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (source, mut target) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let from = kmap_atomic(slots.user0, &source);
        let mut to = kmap_atomic(slots.user1, &mut target);
        to.copy_from_slice(&*from);
    });
}
