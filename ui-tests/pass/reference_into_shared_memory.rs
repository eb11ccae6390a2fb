//! A copy of bytes that user space may change.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let mut bytes = [0; 4];
        mapped.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes[0], 0);
    });
}
