//! A structure that can be written through `&` is asked for from a page that is mapped read only.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let users = mapped.view::<AtomicU32>(0).unwrap();
        assert_eq!(users.fetch_add(1, Ordering::Relaxed), 0);
    });
}
