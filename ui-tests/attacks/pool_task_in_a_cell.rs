//! The task is taken out of a cell twice: once under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use std::cell::RefCell;

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        let cell = RefCell::new(Some(task));
        let mut taken = cell.borrow_mut().take().unwrap();
        let (mapped, left) = kmap(&mut *taken, &page).unwrap();
        cell.replace(Some(left)); // attack
        assert_eq!(mapped[0], 0);
        drop(mapped);
        drop(kmap(taken, &other).unwrap());
    });
}
