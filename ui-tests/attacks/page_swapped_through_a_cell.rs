//! A mapped page is exchanged through a cell that shares it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::Cell;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let cell = Cell::from_mut(&mut page);
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        cell.replace(frame(1)); // attack
        mapped.fill(0);
    });
}
