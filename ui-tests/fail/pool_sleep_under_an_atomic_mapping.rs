//! A task with a page in the pool and one in a slot sleeps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, to) = (frame(0), frame(1));
    thread(|task| {
        let (from, task) = kmap(task, &from).unwrap();
        let mut atomic = task.atomic();
        let to = kmap_atomic(atomic.slots().user0, &to);
        sleep(task);
        assert_eq!(from[0], to[0]);
    });
}
