//! A type of one's own holds the guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Mapped<'cx>(KmapAtomic<'cx, MyKernel, User0, Frame>);

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = Mapped(kmap_atomic(atomic.slots().user0, frame(0)));
        let (_slot, page) = kunmap_atomic(mapped.0);
        free(page);
    });
}
