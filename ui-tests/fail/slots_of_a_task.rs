//! A task that can be preempted wants a slot: the next task on its CPU would have the same.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        kmap_atomic(task.slots().user0, &mut page).fill(0);
    });
}
