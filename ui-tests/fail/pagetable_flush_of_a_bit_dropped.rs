//! A dirty bit is cleared, and no CPU is told: one that remembers the bit as set writes, and does not set it again.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, 0x1000).unwrap();
        entry.test_and_clear_dirty();
    });
}
