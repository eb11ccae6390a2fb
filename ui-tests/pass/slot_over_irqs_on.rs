//! A handler asks for its tokens again when interrupts are off again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        irq.with_irqs_on(|| ());
        let slots = irq.slots();
        kmap_atomic(slots.irq0, &mut page).fill(0);
    });
}
