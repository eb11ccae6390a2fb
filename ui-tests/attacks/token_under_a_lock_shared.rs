//! A token under a lock, for whichever CPU comes first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::sync::Mutex;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = Mutex::new(atomic.slots().user0);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(slot.lock())); // attack
        });
        drop(slot);
    });
}
