//! Two views of one page, both to be written: they may overlap.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let head = mapped.view_mut::<u32>(0).unwrap();
        let tail = mapped.view_mut::<u32>(4).unwrap();
        std::mem::swap(head, tail);
    });
}
