//! A context is begun without the promise that the processor is there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    HardIrq::<MyKernel>::enter(|irq| kmap_atomic(irq.slots().irq0, &mut page).fill(0));
}
