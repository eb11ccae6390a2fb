//! A context is begun by the task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic: Atomic<'_, MyKernel> = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page).fill(0);
    });
}
