//! A guard is hidden behind a trait, and the context ended: who cannot see the lifetime need not keep it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::ops::Deref;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let bytes: Box<dyn Deref<Target = PageBytes> + '_> = Box::new(kmap_atomic(atomic.slots().user0, &page));
        drop(atomic);
        assert_eq!(bytes[0], 0);
    });
}
