//! `&mut &page` is an exclusive borrow of a right to read.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut reader = &page;
        kmap_atomic(atomic.slots().user0, &mut reader).fill(0);
    });
}
