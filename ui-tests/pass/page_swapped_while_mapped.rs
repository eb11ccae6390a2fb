//! Two pages are swapped, and then one of them is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (mut old, mut new) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        std::mem::swap(&mut old, &mut new);
        let mapped = kmap_atomic(atomic.slots().user0, &old);
        assert_eq!(mapped[0], 0);
        assert_eq!(mapped.pfn().number(), 1);
    });
}
