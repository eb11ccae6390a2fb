//! A copy for memory that changes under the reader is asked of memory that does not.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let mut head = [0; 4];
        mapped.read_at(16, &mut head).unwrap();
        assert_eq!(head, [0; 4]);
    });
}
