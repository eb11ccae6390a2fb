//! A token in a variable of the function.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;

fn keep(slot: Slot<'_, MyKernel, User0>) {
    let kept = RefCell::new(Some(slot));
    kmap_atomic(kept.take().unwrap(), frame(0)).fill(0);
}

fn main() {
    thread(|task| keep(task.atomic().slots().user0));
}
