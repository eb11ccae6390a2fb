//! A handler puts aside what is to be done.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut kept = Vec::new();
    interrupt(|irq| {
        kept.push(kmap_atomic(irq.slots().irq0, &frame(0))[0]);
    });
    assert_eq!(kept, [0]);
}
