//! A frame is mapped after it was given back.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        free(page);
        kmap_atomic(atomic.slots().user0, &mut page).fill(0);
    });
}
