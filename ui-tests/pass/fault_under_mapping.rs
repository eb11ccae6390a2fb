//! Copying what is there, and the rest when nothing is mapped: one call does it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    let mut from = UserSlice::new(0x1000, 64).unwrap().reader();
    thread(|task| {
        copy_page_from_user(task, |atomic| atomic.slots().user0, &mut page, 0..64, &mut from).unwrap();
        let mut atomic = task.atomic();
        assert_eq!(kmap_atomic(atomic.slots().user0, &page)[0], 1);
    });
}
