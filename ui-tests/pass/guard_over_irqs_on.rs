//! A handler turns interrupts on when its mapping is gone.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        let mut mapped = kmap_atomic(irq.slots().irq0, &mut page);
        mapped.fill(0);
        drop(mapped);
        irq.with_irqs_on(|| ());
    });
}
