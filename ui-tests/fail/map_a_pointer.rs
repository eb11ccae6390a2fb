//! A pointer to a page, as C's `struct page *`, is mapped: it may be freed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let page = &raw const page;
        let _mapped = kmap_atomic(atomic.slots().user0, page);
    });
}
