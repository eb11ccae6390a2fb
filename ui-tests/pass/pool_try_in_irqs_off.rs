//! A slot with interrupts off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        let _mapped = kmap_atomic(irqs_off.slots().irq0, &page);
    });
}
