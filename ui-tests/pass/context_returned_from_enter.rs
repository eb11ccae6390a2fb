//! The thread's result is returned.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let done = thread(|task| {
        wait(task);
        true
    });
    assert!(done);
}
