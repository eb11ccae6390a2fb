//! The entry code makes the promise.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    // SAFETY: a passing case has no interrupts.
    unsafe { HardIrq::<MyKernel>::enter(|irq| kmap_atomic(irq.slots().irq0, &mut page).fill(0)) };
}
