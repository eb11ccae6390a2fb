//! The kernel's own function is called to let softirqs in, past the context that keeps them out.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut bh_off = atomic.bh_off();
        let mut mapped = kmap_atomic(bh_off.slots().softirq0, &mut page);
        <MyKernel as Kernel>::bh_enable();
        mapped.fill(0);
    });
}
