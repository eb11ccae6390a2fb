//! With softirqs off, interrupts are turned off by the context and by its tokens.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut slots = bh_off.slots();
        let mut one = slots.deeper.irqs_off();
        let mapped = kmap_atomic(one.slots().irq0, frame(0));
        let mut two = bh_off.irqs_off(); // attack
        let other = kmap_atomic(two.slots().irq0, frame(1)); // attack
        assert_eq!(other[0], 0); // attack
        assert_eq!(mapped[0], 0);
    });
}
