//! Each handler has its own context.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        interrupt(|nested| kmap_atomic(nested.slots().irq0, &mut page).fill(0));
        kmap_atomic(irq.slots().irq0, &mut page).fill(0);
    });
}
