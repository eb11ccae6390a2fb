//! A thread's task is returned out of its entry point.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let task = thread(|task| task);
    wait(task);
}
