//! What is left says that the page is lost.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_mc_highpage;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let left = copy_mc_highpage(slots.user1, &mut to, slots.user0, &from);
        assert_eq!(left, 0);
    });
}
