//! An entry is used, and then unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        let mut atomic = task.atomic();
        let entry = space.entry(atomic.slots().pte0, 0x1000).unwrap();
        assert!(entry.leaf().unwrap().is_some());
        entry.unmap();
    });
}
