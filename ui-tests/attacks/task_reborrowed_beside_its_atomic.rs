//! A task is lent on, made atomic through the loan, and used beside it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let lent = &mut *task;
        let mut atomic = lent.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        wait(&mut *task); // attack
        assert_eq!(mapped[0], 0);
    });
}
