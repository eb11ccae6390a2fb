//! Within one page, the owner copies by its bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::memcpy_page;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        kmap_atomic(slots.user0, &mut page).copy_within(0..100, 8);
    });
}
