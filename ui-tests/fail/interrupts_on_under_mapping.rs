//! The kernel's own function is called to turn interrupts on, past the context that has them off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        let mut mapped = kmap_atomic(irq.slots().irq0, &mut page);
        <MyKernel as Kernel>::irq_restore(true);
        mapped.fill(0);
    });
}
