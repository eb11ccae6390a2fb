//! A page under a lock is mapped, and the lock let go at the end of the statement.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::sync::Mutex;

fn main() {
    let page = Mutex::new(frame(0));
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &mut *page.lock().unwrap()); // attack
        assert_eq!(mapped[0], 0); // attack
        drop(kmap_atomic(atomic.slots().user0, &mut *page.lock().unwrap()));
    });
}
