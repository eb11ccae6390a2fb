//! A structure in memory that a device writes is referenced.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let ring = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &ring);
        let head = *mapped.view::<u32>(16).unwrap();
        assert_eq!(head, 0);
    });
}
