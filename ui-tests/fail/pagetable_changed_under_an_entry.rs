//! A range is unmapped while one of its entries is mapped: its table may be freed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let entry = space.entry(slots.user0, 0x1000).unwrap();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        let flush = edit.unmap(Pages::one(0x1000), |_| ()).unwrap();
        edit.flush(flush);
        assert_eq!(entry.leaf(), Ok(None));
    });
}
