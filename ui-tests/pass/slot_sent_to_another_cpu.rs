//! The page goes to another CPU, which has tokens of its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let (_slot, page) = kunmap_atomic(kmap_atomic(atomic.slots().user0, frame(0)));
        send_to_another_cpu(page);
    });
}
