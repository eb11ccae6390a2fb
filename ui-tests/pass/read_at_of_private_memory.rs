//! Memory that nobody else writes is a slice.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let mut head = [0; 4];
        head.copy_from_slice(&mapped[16..20]);
        assert_eq!(head, [0; 4]);
    });
}
