//! A handler uses an interrupt slot before `with_irqs_on`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        kmap_atomic(irq.slots().irq0, &mut page).fill(0);
        irq.with_irqs_on(|| {});
    });
}
