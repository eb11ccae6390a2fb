//! Softirqs are kept out first, then interrupts.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut bh_off = slots.deeper.bh_off();
        let mut irqs_off = bh_off.irqs_off();
        kmap_atomic(irqs_off.slots().irq0, &mut page).fill(0);
    });
}
