//! Interrupts are off as long as the context has a name.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off();
        kmap_atomic(irqs_off.slots().irq0, frame(0)).fill(0);
    });
}
