//! Sleeping under an atomic mapping: the next task on this CPU uses the same slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        wait(task);
        mapped.fill(0);
    });
}
