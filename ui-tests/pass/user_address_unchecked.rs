//! The address is checked when the slice is made.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let address = 0x1000_usize;
    thread(|task| {
        let mut to = UserSlice::new(address, 8).unwrap().writer();
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        copy_to_user_inatomic(&mut to, (&mapped, 0..8)).unwrap();
    });
}
