//! An interrupt handler uses a slot of tasks: it overwrites the mapping of the task it interrupted.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        kmap_atomic(irq.slots().user0, &mut page).fill(0);
    });
}
