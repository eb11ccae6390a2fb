//! Softirqs are let in again while interrupts are off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut irqs_off = bh_off.irqs_off();
        drop(bh_off);
        kmap_atomic(irqs_off.slots().irq0, &mut page).fill(0);
    });
}
