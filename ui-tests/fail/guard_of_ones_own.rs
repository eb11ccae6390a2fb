//! A type of one's own is made unmappable.
#[path = "../prelude.rs"]
mod prelude;
use highmem::atomic::AtomicGuard;
use prelude::*;

struct Mapped<'cx>(KmapAtomic<'cx, MyKernel, User0, Frame>);

impl<'cx> AtomicGuard for Mapped<'cx> {
    type Slot = Slot<'cx, MyKernel, User0>;
    type Page = Frame;

    fn unmap(self) -> (Self::Slot, Frame) {
        kunmap_atomic(self.0)
    }
}

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = Mapped(kmap_atomic(atomic.slots().user0, frame(0)));
        let (_slot, page) = kunmap_atomic(mapped);
        free(page);
    });
}
