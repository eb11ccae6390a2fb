//! The list that a mapped page is in grows, and moves it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut pages = vec![frame(0)];
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &mut pages[0]);
        pages.push(frame(1)); // attack
        assert_eq!(mapped[0], 0);
    });
}
