//! What user space has is an address, and a number.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let name = mapped.read_obj::<u32>(0).unwrap();
        assert_eq!(name, 0);
    });
}
