//! A page mapped from `&page` is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &page)[0] = 1;
    });
}
