//! A byte that user space wrote is taken for a `bool`: only two of its 256 values are one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        assert!(!mapped.read_obj::<bool>(0).unwrap());
    });
}
