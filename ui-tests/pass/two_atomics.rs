//! One context hands out both tokens.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (source, mut target) = (frame(0), frame(1));
    thread(|task| {
        let mut outer = task.atomic();
        let slots = outer.slots();
        let from = kmap_atomic(slots.user0, &source);
        kmap_atomic(slots.user1, &mut target).copy_from_slice(&*from);
    });
}
