//! A context is taken out of the variable that it is kept in, under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = Some(task.atomic());
        let mapped = kmap_atomic(atomic.as_mut().unwrap().slots().user0, &page);
        drop(atomic.take()); // attack
        assert_eq!(mapped[0], 0);
    });
}
