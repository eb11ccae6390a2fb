//! Bytes of a page are taken for a reference: they may say any address.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let name: &&'static u8 = mapped.view(0).unwrap();
        assert_eq!(**name, 0);
    });
}
