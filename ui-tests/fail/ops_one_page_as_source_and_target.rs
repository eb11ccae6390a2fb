//! A page that belongs to one owner is copied to itself: the ranges overlap, and `memcpy` may do anything.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::memcpy_page;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        memcpy_page(slots.user1, (&mut page, 8), slots.user0, (&page, 0), 100).unwrap();
    });
}
