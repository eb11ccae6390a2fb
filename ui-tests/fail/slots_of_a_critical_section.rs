//! A critical section is taken for a context: interrupts are off there, but whoever has one has two.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (mut one, mut other) = (frame(0), frame(1));
    critical_section::with(|section| {
        let mut off = IrqsOff::<MyKernel>::from(section);
        let mut again = IrqsOff::<MyKernel>::from(section);
        let mut bytes = kmap_atomic(off.slots().irq0, &mut one);
        kmap_atomic(again.slots().irq0, &mut other).fill(1);
        bytes.fill(0);
    });
}
