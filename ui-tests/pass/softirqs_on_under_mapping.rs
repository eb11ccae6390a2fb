//! The context is dropped, and lets softirqs in.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut mapped = kmap_atomic(bh_off.slots().softirq0, &mut page);
        mapped.fill(0);
        drop(mapped);
        drop(bh_off);
    });
}
