//! Interrupts are on again before the thread waits.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        kmap_atomic(irqs_off.slots().irq0, &mut page).fill(0);
        drop(irqs_off);
        drop(atomic);
        wait(task);
    });
}
