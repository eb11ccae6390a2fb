//! A context in a cell lends its tokens, and is asked again once the cell is free.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;

fn main() {
    let page = frame(0);
    thread(|task| {
        let atomic = RefCell::new(task.atomic());
        let mapped = kmap_atomic(atomic.borrow_mut().slots().user0, &page); // attack
        let other = kmap_atomic(atomic.borrow_mut().slots().user0, &page); // attack
        assert_eq!(mapped[0], other[0]); // attack
        assert_eq!(kmap_atomic(atomic.borrow_mut().slots().user0, &page)[0], 0);
    });
}
