//! The slot of a depth is split off, used, and split off once more.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (slot, _) = local.split();
        let mapped = kmap_atomic(slot, &pages[0]);
        let (_other, _) = kmap_local_page(&mut local, &pages[1]); // attack
        assert_eq!(mapped[0], 0);
    });
}
