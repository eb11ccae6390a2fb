//! What was done with the token is returned.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let first = interrupt(|irq| kmap_atomic(irq.slots().irq0, &page)[0]);
    assert_eq!(first, 0);
}
