//! Two futures of one task take turns, each with a mapping in the same slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

async fn checksum(task: &mut Task<'_>, page: &Frame) {
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, page);
    next_tick().await;
    assert_eq!(mapped[0], 0);
}

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let one = checksum(task, &pages[0]);
        let two = checksum(task, &pages[1]); // attack
        run_here(two); // attack
        run_here(one);
    });
}
