//! A length is copied out of shared memory and checked, and the bytes are then used where they are: user space has changed them.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let len = mapped.read_obj::<u16>(0).unwrap();
        assert!(len <= 100);
        let bytes: &[u8] = &*mapped;
        assert!(bytes[2..][..usize::from(len)].is_empty());
    });
}
