//! The guard stays, and the page it gives back goes to another CPU.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, frame(0));
        let (_slot, page) = kunmap_atomic(mapped);
        send_to_another_cpu(page);
    });
}
