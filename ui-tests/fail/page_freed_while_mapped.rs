//! The page is freed while it is mapped, and written after that.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        free(page);
        mapped.fill(0);
    });
}
