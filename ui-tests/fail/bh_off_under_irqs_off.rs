//! Softirqs are kept out with interrupts off: letting them in again would run them with interrupts off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut irqs_off = slots.deeper.irqs_off();
        let _bh_off = slots.deeper.bh_off();
        kmap_atomic(irqs_off.slots().irq0, &mut page).fill(0);
    });
}
