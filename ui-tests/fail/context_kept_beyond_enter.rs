//! A handler puts its context aside, to be used when interrupts are on.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut kept = None;
    interrupt(|irq| {
        kept = Some(irq);
    });
    kept.unwrap().with_irqs_on(|| ());
}
