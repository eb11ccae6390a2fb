//! Pages are mapped one after the other in a slot that is lent each time, and all the guards kept.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slot = atomic.slots().user0;
        let mut kept: Vec<KmapAtomic<'_, MyKernel, User0, &Frame>> = Vec::new();
        for page in &pages {
            kept.push(kmap_atomic(slot.reborrow(), page)); // attack
        }
        assert!(kept.iter().all(|mapped| mapped[0] == 0));
        drop(kmap_atomic(slot, &pages[0]));
    });
}
