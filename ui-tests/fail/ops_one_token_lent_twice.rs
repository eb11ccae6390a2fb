//! One token is lent for both pages of a copy.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::{clear_highpage, memcpy_page};

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        memcpy_page(slots.user0.reborrow(), (&mut to, 0), slots.user0.reborrow(), (&from, 8), 8).unwrap();
        clear_highpage(slots.user0.reborrow(), &mut to);
    });
}
