//! What was found with the token is put aside.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut kept = None;
    interrupt(|irq| {
        let slots = irq.slots();
        kept = Some(kmap_atomic(slots.irq0, &page)[0]);
    });
    assert_eq!(kept, Some(0));
}
