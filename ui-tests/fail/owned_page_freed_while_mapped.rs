//! The page was given to the mapping, and is freed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, page);
        mapped.fill(0);
        free(page);
    });
}
