//! User memory mapped from `&page` is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &page);
        mapped.write_at(0, b"data").unwrap();
    });
}
