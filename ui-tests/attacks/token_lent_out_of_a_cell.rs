//! A token in a cell is lent, and the cell is free again while the mapping is not.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let cell = RefCell::new(atomic.slots().user0);
        let mapped = kmap_atomic(cell.borrow_mut().reborrow(), &page); // attack
        assert_eq!(mapped[0], 0); // attack
        assert_eq!(kmap_atomic(cell.borrow_mut().reborrow(), &page)[0], 0);
    });
}
