//! A byte of a page is taken for a `bool`: only two of its 256 values are one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let dirty = *mapped.view::<bool>(0).unwrap();
        assert!(!dirty);
    });
}
