//! Copying from user space into a buffer, and from there into the mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut buffer = [0; 64];
        copy_from_user(task, &mut buffer, 0x1000);
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        mapped[..64].copy_from_slice(&buffer);
        assert_eq!(mapped[0], 1);
    });
}
