//! An interrupt handler copies a page by the slots of tasks: it overwrites the mappings of the task that it interrupted.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_highpage;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    interrupt(|irq| {
        let slots = irq.slots();
        copy_highpage(slots.user1, &mut to, slots.user0, &from);
    });
}
