//! A slot in an interrupt handler.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    interrupt(|irq| {
        let _mapped = kmap_atomic(irq.slots().irq0, &page);
    });
}
