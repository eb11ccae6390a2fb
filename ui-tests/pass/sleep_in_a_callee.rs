//! A function that has the context alone.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn write_out(atomic: &mut Atomic<'_, MyKernel>, page: &Frame) {
    assert_eq!(kmap_atomic(atomic.slots().user0, page)[0], 0);
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        write_out(&mut atomic, &page);
        drop(atomic);
        wait(task);
    });
}
