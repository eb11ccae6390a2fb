//! Two entries are mapped in one slot: the first is in the second's table then. Linux: `pte_offset_map()` twice, and not `_nested`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (space, _frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let from = space.entry(slots.pte0, 0x1000).unwrap();
        let to = space.entry(slots.pte0, 0x2000).unwrap();
        assert_ne!(from.leaf(), to.leaf());
    });
}
