//! Its bytes are used before the page is cleared.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::clear_highpage;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mapped = kmap_atomic(slots.user0, &page);
        let first = mapped[0];
        drop(mapped);
        clear_highpage(slots.user1, &mut page);
        assert_eq!(first, 0);
    });
}
