//! One page is mapped for writing, and split.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut mapped = kmap_atomic(slots.user0, &mut page);
        let (head, tail) = mapped.split_at_mut(2048);
        head.copy_from_slice(tail);
    });
}
