//! A closure that holds the task is called under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut sleep = || wait(task);
        sleep();
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        sleep(); // attack
        assert_eq!(mapped[0], 0);
    });
}
