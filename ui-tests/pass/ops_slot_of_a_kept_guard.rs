//! The mapping ends before its slot is used again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::clear_highpage;

fn main() {
    let (page, mut other) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mapped = kmap_atomic(slots.user0.reborrow(), &page);
        assert_eq!(mapped[0], 0);
        drop(mapped);
        clear_highpage(slots.user0.reborrow(), &mut other);
    });
}
