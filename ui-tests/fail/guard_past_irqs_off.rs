//! An interrupt slot's guard is kept when interrupts are on again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        let mut mapped = kmap_atomic(irqs_off.slots().irq0, &mut page);
        drop(irqs_off);
        mapped.fill(0);
    });
}
