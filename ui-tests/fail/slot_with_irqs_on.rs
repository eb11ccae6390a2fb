//! A handler uses an interrupt slot within `with_irqs_on`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        irq.with_irqs_on(|| {
            kmap_atomic(irq.slots().irq0, &mut page).fill(0);
        });
    });
}
