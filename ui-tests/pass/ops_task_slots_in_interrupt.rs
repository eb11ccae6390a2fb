//! An interrupt handler copies a page by its own slots.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_highpage;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    interrupt(|irq| {
        let slots = irq.slots();
        copy_highpage(slots.irq1, &mut to, slots.irq0, &from);
    });
}
