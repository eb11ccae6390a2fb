//! A reference is read out of memory that user space writes: it refers to what user space likes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let name = mapped.read_obj::<&'static u8>(0).unwrap();
        assert_eq!(*name, 0);
    });
}
