//! Two owners of a token by reference counting each map a page in it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::rc::Rc;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let one = Rc::new(atomic.slots().user0);
        let two = one.clone();
        let mapped = kmap_atomic(*one, &page); // attack
        let other = kmap_atomic(*two, &page); // attack
        assert_eq!(mapped[0], other[0]); // attack
        assert_eq!(Rc::strong_count(&two), 2);
    });
}
