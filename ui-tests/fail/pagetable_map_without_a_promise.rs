//! A frame is mapped for a process, and nobody says who else uses it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mut space, mut frames) = space(task);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut frames);
        let flush = edit.map(0x2000, Pfn::new(8).unwrap(), PageSize::Small, Flags::WRITABLE).unwrap();
        edit.flush(flush);
    });
}
