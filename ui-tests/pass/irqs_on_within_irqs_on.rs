//! `with_irqs_on` one after the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    interrupt(|irq| {
        irq.with_irqs_on(|| ());
        irq.with_irqs_on(|| ());
    });
}
