//! A guard goes to another CPU, which would unmap it, and flush a translation of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, frame(0));
        send_to_another_cpu(mapped);
    });
}
