//! A token in a variable of the thread: it would outlive its context.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::RefCell;

thread_local! {
    static KEPT: RefCell<Option<Slot<'static, MyKernel, User0>>> = const { RefCell::new(None) };
}

fn keep(slot: Slot<'_, MyKernel, User0>) {
    KEPT.set(Some(slot));
}

fn main() {
    thread(|task| keep(task.atomic().slots().user0));
}
