//! Interrupts are off for the length of a statement.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        atomic.irqs_off();
    });
}
