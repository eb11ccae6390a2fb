//! Copying from user space under an atomic mapping: the copy may fault, and the fault sleeps.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    let mut from = UserSlice::new(0x1000, 64).unwrap().reader();
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        copy_from_user(task, &mut mapped[..64], &mut from).unwrap();
        assert_eq!(mapped[0], 1);
    });
}
