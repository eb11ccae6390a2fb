//! The guard is a temporary, gone at the end of the statement, and its bytes are kept.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let bytes = kmap_atomic(atomic.slots().user0, &page).as_slice();
        assert_eq!(bytes[0], 0);
    });
}
