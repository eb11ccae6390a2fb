//! A reference to bytes that user space may change while it is looked at.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let bytes: &PageBytes = &mapped;
        assert_eq!(bytes[0], 0);
    });
}
