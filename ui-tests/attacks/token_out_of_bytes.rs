//! The bytes of a page are taken for a token: it needs none.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let token = mapped.view::<Slot<'_, MyKernel, User1>>(0).unwrap(); // attack
        assert_eq!(mapped[0], 0);
    });
}
