//! A byte of a page is compared.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let dirty = *mapped.view::<u8>(0).unwrap() != 0;
        assert!(!dirty);
    });
}
