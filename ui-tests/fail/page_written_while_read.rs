//! A page is written through one mapping while another mapping of it is read: `&` and `&mut` to the same bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let reader = kmap_atomic(slots.user0, &page);
        let mut writer = kmap_atomic(slots.user1, &mut page);
        writer[0] = reader[0] + 1;
    });
}
