//! Preemption is off where the slot is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        kmap_atomic(task.atomic().slots().user0, &mut page).fill(0);
    });
}
