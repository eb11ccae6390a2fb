//! A task is taken out of the reference to it, and a default left.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let stolen = std::mem::take(task); // attack
        wait(task);
    });
}
