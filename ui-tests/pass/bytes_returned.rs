//! A function maps a page and returns the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn look<'a>(slot: Slot<'a, MyKernel, User0>, page: &'a Frame) -> KmapAtomic<'a, MyKernel, User0, &'a Frame> {
    kmap_atomic(slot, page)
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(look(atomic.slots().user0, &page)[0], 0);
    });
}
