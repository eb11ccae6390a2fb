//! One page is mapped for writing in two slots: two `&mut` to the same bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut head = kmap_atomic(slots.user0, &mut page);
        let tail = kmap_atomic(slots.user1, &mut page);
        head[..2048].copy_from_slice(&tail[2048..]);
    });
}
