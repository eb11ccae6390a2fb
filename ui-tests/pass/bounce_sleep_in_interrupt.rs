//! An interrupt handler takes what is there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    interrupt(|irq| {
        let prepared = reserve.try_read(irq.slots().bounce_read, parts()).unwrap();
        prepared.cancel();
    });
}
