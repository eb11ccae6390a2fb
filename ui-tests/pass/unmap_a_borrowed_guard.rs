//! A function that is to unmap is given the guard.
#[path = "../prelude.rs"]
mod prelude;
use highmem::linux::User0 as Src;
use prelude::*;

fn finish(mapped: KmapAtomic<'_, MyKernel, Src, Frame>) {
    let (_slot, page) = kunmap_atomic(mapped);
    free(page);
}

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, frame(0));
        assert_eq!(mapped[0], 0);
        finish(mapped);
    });
}
