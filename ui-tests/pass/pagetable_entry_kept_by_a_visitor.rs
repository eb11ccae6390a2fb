//! A visitor keeps what entries say.
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
        let flush = space.visit(slots.pte0.reborrow(), slots.pte1, pages, |pte| kept = pte.leaf().unwrap()).unwrap();
        assert!(kept.is_some_and(|leaf| leaf.flags.contains(Flags::USER)));
        flush.flush(slots.pte0, &mut frames);
    });
}
