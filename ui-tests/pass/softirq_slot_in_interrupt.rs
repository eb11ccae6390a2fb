//! The handler uses an interrupt slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        kmap_atomic(irq.slots().irq0, &mut page).fill(0);
    });
}
