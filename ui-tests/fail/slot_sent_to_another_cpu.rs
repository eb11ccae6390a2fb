//! A token goes to another CPU, which has one for its own slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        send_to_another_cpu(slot);
    });
}
