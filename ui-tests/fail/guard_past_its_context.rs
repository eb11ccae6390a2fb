//! The context is ended under a guard: the thread goes on on another CPU, and writes to whatever its slot holds there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        drop(atomic);
        mapped.fill(0);
    });
}
