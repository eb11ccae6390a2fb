//! The frame at that address is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let page = frame(0x1000 / 4096);
        let _mapped = kmap_atomic(atomic.slots().user0, page);
    });
}
