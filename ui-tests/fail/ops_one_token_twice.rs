//! Both pages of a copy in one slot: in C, the page is copied to itself.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_highpage;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user0, &mut to, slots.user0, &from);
    });
}
