//! `with_irqs_on` within `with_irqs_on`: the inner one turns interrupts off for the rest of the outer one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    interrupt(|irq| {
        irq.with_irqs_on(|| irq.with_irqs_on(|| ()));
    });
}
