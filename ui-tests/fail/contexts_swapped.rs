//! Two handlers' contexts change places, so that each goes on in the other's.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        interrupt(|nested| std::mem::swap(irq, nested));
        kmap_atomic(irq.slots().irq0, &mut page).fill(0);
    });
}
