//! A visitor keeps an entry: its table is unmapped when the next one is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut kept = None;
        let pages = Pages::new(0, 1 << 18);
        let flush = space.visit(slots.pte0.reborrow(), slots.pte1, pages, |pte| kept = Some(pte)).unwrap();
        assert!(kept.is_some_and(|pte| pte.test_and_clear_accessed()));
        flush.flush(slots.pte0, &mut frames);
    });
}
