//! A borrow of the page is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let page = &page;
        let _mapped = kmap_atomic(atomic.slots().user0, page);
    });
}
