//! A page in a cell is mapped, and the cell released for others.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;

fn main() {
    let cell = RefCell::new(frame(0));
    thread(|task| {
        let mut atomic = task.atomic();
        let mut borrowed = cell.borrow_mut();
        let mapped = kmap_atomic(atomic.slots().user0, &mut *borrowed);
        drop(borrowed); // attack
        assert_eq!(mapped[0], 0);
    });
}
