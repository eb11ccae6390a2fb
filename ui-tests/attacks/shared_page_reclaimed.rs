//! The one owner left of a shared page takes it back, while it is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::rc::Rc;

fn main() {
    let page = Rc::new(frame(0));
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &*page);
        let page = Rc::try_unwrap(page).unwrap(); // attack
        assert_eq!(mapped[0], 0);
    });
}
