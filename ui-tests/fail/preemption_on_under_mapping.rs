//! The kernel's own function is called to turn preemption on, past the context that has it off.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        <MyKernel as Kernel>::preempt_enable();
        mapped.fill(0);
    });
}
