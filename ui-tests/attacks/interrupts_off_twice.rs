//! Interrupts are turned off twice from the same tokens: each time there are tokens of theirs.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut outer = slots.deeper.irqs_off();
        let mapped = kmap_atomic(outer.slots().irq0, frame(0));
        let mut inner = slots.deeper.irqs_off(); // attack
        let other = kmap_atomic(inner.slots().irq0, frame(1)); // attack
        assert_eq!(other[0], 0); // attack
        assert_eq!(mapped[0], 0);
    });
}
