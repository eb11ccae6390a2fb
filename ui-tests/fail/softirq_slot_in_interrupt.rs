//! A softirq slot in an interrupt handler: it overwrites the mapping of the softirq it interrupted.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        kmap_atomic(irq.slots().skb_data_softirq, &mut page).fill(0);
    });
}
