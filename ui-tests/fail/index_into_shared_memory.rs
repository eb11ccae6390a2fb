//! A length is read from user memory by index, checked, and read again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let len = if mapped[0] < 64 { mapped[0] } else { 0 };
        assert_eq!(len, 0);
    });
}
