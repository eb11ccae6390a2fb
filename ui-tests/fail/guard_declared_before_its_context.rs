//! A guard is declared before its context: variables go out of scope in reverse order, the context first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut mapped;
        let mut atomic = task.atomic();
        mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped.fill(0);
    });
}
