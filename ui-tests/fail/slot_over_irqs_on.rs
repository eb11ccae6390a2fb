//! A handler keeps a token while interrupts are on: the next handler has one for the same slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        let slots = irq.slots();
        irq.with_irqs_on(|| ());
        kmap_atomic(slots.irq0, &mut page).fill(0);
    });
}
