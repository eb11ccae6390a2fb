//! A recursive function maps one level's page in the slot of the level above, which is still in use.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn total(slot: &mut Slot<'_, MyKernel, User0>, pages: &[Frame]) -> u32 {
    let [page, rest @ ..] = pages else { return 0 };
    let mapped = kmap_atomic(slot.reborrow(), page);
    let below = total(slot, rest);
    below + u32::from(mapped[0])
}

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(total(&mut atomic.slots().user0, &pages), 0);
    });
}
