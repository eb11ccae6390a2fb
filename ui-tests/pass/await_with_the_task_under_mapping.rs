//! The guard and its context end before the `.await`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

async fn next_event(task: &mut Task<'_>) {
    wait(task);
}

async fn checksum(task: &mut Task<'_>, page: &Frame) -> u8 {
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user0, page);
    let first = mapped[0];
    drop(mapped);
    drop(atomic);
    next_event(task).await;
    first
}

fn main() {
    let page = frame(0);
    thread(|task| run_here(async { assert_eq!(checksum(task, &page).await, 0) }));
}
