//! A page is written when the mapping that reads it is gone.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let reader = kmap_atomic(slots.user0, &page);
        let first = reader[0];
        drop(reader);
        let mut writer = kmap_atomic(slots.user1, &mut page);
        writer[0] = first + 1;
    });
}
