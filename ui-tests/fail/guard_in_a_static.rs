//! A guard in a `static`: every CPU would have it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static ZEROED: Global<KmapAtomic<'static, MyKernel, User0, Frame>> = Global::empty();

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, frame(0));
        mapped.fill(0);
        drop(mapped);
    });
    assert!(ZEROED.take().is_some());
}
