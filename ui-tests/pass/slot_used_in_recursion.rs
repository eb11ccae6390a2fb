//! A recursive function ends its mapping before it goes down.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn total(slot: &mut Slot<'_, MyKernel, User0>, pages: &[Frame]) -> u32 {
    let [page, rest @ ..] = pages else { return 0 };
    let mapped = kmap_atomic(slot.reborrow(), page);
    let first = u32::from(mapped[0]);
    drop(mapped);
    first + total(slot, rest)
}

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(total(&mut atomic.slots().user0, &pages), 0);
    });
}
