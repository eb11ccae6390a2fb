//! A structure in memory that a device writes is copied out, and looked at then.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let ring = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &ring);
        let mut head = [0; 4];
        mapped.read_at(16, &mut head).unwrap();
        let head = u32::from_le_bytes(head);
        assert_eq!(head, 0);
    });
}
