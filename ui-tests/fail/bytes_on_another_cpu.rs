//! Another CPU is asked to use the bytes, and waited for: the address is that of this CPU's slot, and the other CPU never
//! flushes it. Whatever runs borrowed code elsewhere takes the task, and the mapping has it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let bytes = &mapped[..];
        on_another_cpu(task, || assert_eq!(bytes[0], 0));
    });
}
