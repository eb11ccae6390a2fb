//! A token is returned out of the entry point: the thread may go on on another CPU, and ask for its tokens again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let slot = interrupt(|irq| irq.slots().irq0);
    let first = kmap_atomic(slot, &page)[0];
    assert_eq!(first, 0);
}
