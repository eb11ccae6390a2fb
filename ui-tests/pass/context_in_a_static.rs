//! A context is a parameter.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn flush(task: &mut Task<'_>) {
    wait(task);
}

fn main() {
    thread(|task| flush(task));
}
