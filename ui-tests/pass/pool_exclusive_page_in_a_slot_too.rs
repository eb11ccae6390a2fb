//! A page is in the pool to be read, and in a slot as well.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, task) = kmap(task, &page).unwrap();
        let mut atomic = task.atomic();
        let other = kmap_atomic(atomic.slots().user0, &page);
        assert_eq!(mapped[0], other[0]);
    });
}
