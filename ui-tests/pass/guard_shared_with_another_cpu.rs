//! The page is lent to another CPU, which maps it itself.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        send_to_another_cpu(&page);
        assert_eq!(mapped[0], 0);
    });
}
