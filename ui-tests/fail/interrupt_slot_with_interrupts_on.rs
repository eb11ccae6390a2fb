//! An interrupt slot with interrupts on: a handler comes in between and overwrites the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().irq0, &mut page).fill(0);
    });
}
