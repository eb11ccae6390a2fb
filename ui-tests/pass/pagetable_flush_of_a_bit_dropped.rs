//! A dirty bit is cleared, and the CPUs are told.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, 0x1000).unwrap();
        let (was_dirty, flush) = entry.test_and_clear_dirty();
        assert!(!was_dirty);
        flush.flush(entry.unmap(), &mut frames);
    });
}
