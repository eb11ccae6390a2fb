//! Preemption is off for the length of a statement, and on again when the lock is taken.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        task.atomic();
    });
}
