//! The page that a guard tells is passed to unmap: the bug of 2004 with one more step.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped.fill(0);
        kunmap_atomic(mapped.page());
    });
}
