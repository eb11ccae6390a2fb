//! User memory mapped from `&mut page` is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped.write_at(0, b"data").unwrap();
    });
}
