//! A task in a cell is made atomic in there, and taken out.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;

fn main() {
    let page = frame(0);
    thread(|task| {
        let cell = RefCell::new(task);
        let mut borrowed = cell.borrow_mut();
        let mut atomic = borrowed.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        wait(cell.into_inner()); // attack
        assert_eq!(mapped[0], 0);
    });
}
