//! Each page of a copy has a slot of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_highpage;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, &mut to, slots.user0, &from);
    });
}
