//! It is mapped to be written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    let mut from = UserSlice::new(0x1000, 8).unwrap().reader();
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        copy_from_user_inatomic((&mut mapped, 0..8), &mut from).unwrap();
    });
}
