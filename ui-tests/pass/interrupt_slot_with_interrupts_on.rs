//! Interrupts are turned off first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.irqs_off().slots().irq0, &mut page).fill(0);
    });
}
