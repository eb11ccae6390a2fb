//! A task that holds a mapping waits for another: when all do so, none goes on.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let (from, task) = kmap(task, &from).unwrap();
        let (mut to, _task) = kmap(task, &mut to).unwrap();
        to.copy_from_slice(&from[..]);
    });
}
