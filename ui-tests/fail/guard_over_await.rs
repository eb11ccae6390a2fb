//! A future that keeps a guard while it waits: it goes on on whatever CPU is free.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

async fn checksum(task: &mut Task<'_>, page: Frame) {
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, page);
    next_tick().await;
    assert_eq!(mapped[0], 0);
}

fn main() {
    thread(|task| run_on_any_cpu(checksum(task, frame(0))));
}
