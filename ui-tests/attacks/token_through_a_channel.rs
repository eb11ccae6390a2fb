//! A token is sent through a channel to the thread at its other end.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::sync::mpsc;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let (sender, receiver) = mpsc::channel();
        sender.send(atomic.slots().user0).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(receiver.recv())); // attack
        });
    });
}
