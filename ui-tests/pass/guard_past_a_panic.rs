//! A panic is caught, and the guard that was in use was dropped on its way.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut kept = None;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut atomic = task.atomic();
            let mapped = kmap_atomic(atomic.slots().user0, &page);
            kept = Some(mapped[0]);
            std::panic::resume_unwind(Box::new("in the file system"));
        }));
        assert!(panicked.is_err());
        assert_eq!(kept, Some(0));
        wait(task);
    });
}
