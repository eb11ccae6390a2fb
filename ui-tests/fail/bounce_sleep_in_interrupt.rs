//! An interrupt handler sleeps for a page of the reserve: what would give it back is the next interrupt.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    interrupt(|irq| {
        let (prepared, _) = reserve.read(irq, parts()).unwrap();
        prepared.cancel();
    });
}
