//! The bytes outlive the guard on paper: they are taken from a leaked one, and the task sleeps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped: &KmapAtomic<'_, MyKernel, User0, &Frame> = Box::leak(Box::new(kmap_atomic(atomic.slots().user0, &page)));
        let bytes: &PageBytes = mapped;
        wait(task); // attack
        assert_eq!(bytes[0], 0);
    });
}
