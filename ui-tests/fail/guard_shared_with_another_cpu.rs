//! A guard is lent to another CPU: the address is that of this CPU's slot, and no other CPU flushes it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        send_to_another_cpu(&mapped);
        assert_eq!(mapped[0], 0);
    });
}
