//! The guard has a name, and lives as long as its bytes are used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let bytes = mapped.as_slice();
        assert_eq!(bytes[0], 0);
    });
}
