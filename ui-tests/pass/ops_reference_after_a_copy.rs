//! What is copied is what is checked, and what is used.
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
        let mut bytes = [0; 100];
        let bytes = &mut bytes[..usize::from(len)];
        mapped.read_at(2, bytes).unwrap();
        assert!(bytes.is_empty());
    });
}
