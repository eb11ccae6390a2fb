//! A value in a page is read after the page was unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let length = mapped.view::<u32>(0).unwrap();
        drop(mapped); // attack
        assert_eq!(*length, 0);
    });
}
