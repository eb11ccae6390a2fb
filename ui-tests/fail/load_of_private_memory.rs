//! A single access, for memory that changes under the reader, is asked of memory that does not.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        assert_eq!(mapped.load::<u32>(16).unwrap(), 0);
    });
}
