//! A page mapped from `&mut page` is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page)[0] = 1;
    });
}
