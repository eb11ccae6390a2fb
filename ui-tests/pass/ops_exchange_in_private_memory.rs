//! A word of memory of one's own is a `u32`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        *mapped.view_mut::<u32>(0).unwrap() = 1;
    });
}
