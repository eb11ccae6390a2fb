//! The handler leaves the sleeping to a thread.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    interrupt(|irq| {
        kmap_atomic(irq.slots().irq0, &mut page).fill(0);
    });
    thread(|task| wait(task));
}
