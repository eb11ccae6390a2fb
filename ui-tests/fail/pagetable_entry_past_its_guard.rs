//! An entry is used behind `pte_unmap`: another table is there by then, or none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, 0x1000).unwrap();
        entry.unmap();
        assert!(entry.leaf().unwrap().is_some());
    });
}
