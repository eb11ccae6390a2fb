//! A task waits for a table, and then maps one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        wait(task);
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, 0x1000).unwrap();
        assert!(entry.leaf().unwrap().is_some());
    });
}
