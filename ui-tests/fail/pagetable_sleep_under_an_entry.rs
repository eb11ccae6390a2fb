//! A task waits for a table while one is mapped: `move_one_page()` in 2002.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, 0x1000).unwrap();
        wait(task);
        assert!(entry.leaf().unwrap().is_some());
    });
}
