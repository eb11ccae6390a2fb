//! A function that has both the context and the task: it may sleep under its caller's mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn write_out(atomic: &mut Atomic<'_, MyKernel>, task: &mut Task<'_>, page: &Frame) {
    assert_eq!(kmap_atomic(atomic.slots().user0, page)[0], 0);
    wait(task);
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        write_out(&mut atomic, task, &page);
    });
}
