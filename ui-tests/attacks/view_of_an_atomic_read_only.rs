//! A counter in a read-only mapping is counted up: it needs a shared reference only.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        mapped.view::<AtomicU32>(0).unwrap().fetch_add(1, Relaxed); // attack
        assert_eq!(mapped[0], 0);
    });
}
