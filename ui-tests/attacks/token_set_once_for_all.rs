//! A variable that is set once and read by all.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::sync::OnceLock;

static KEPT: OnceLock<Slot<'static, MyKernel, User0>> = OnceLock::new(); // attack

fn main() {
    thread(|task| drop(kmap_atomic(task.atomic().slots().user0, frame(0))));
}
