//! A thread that ends before the context does is given a token.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        std::thread::scope(|scope| {
            scope.spawn(|| drop(slot)); // attack
        });
    });
}
