//! A token is put aside in an interrupt handler, for later.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut kept = None;
    interrupt(|irq| {
        let slots = irq.slots();
        kept = Some(slots.irq0);
    });
    kmap_atomic(kept.unwrap(), &page);
}
