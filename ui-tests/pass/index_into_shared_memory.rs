//! A length is copied from user memory once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let mut len = [0];
        mapped.read_at(0, &mut len).unwrap();
        let len = if len[0] < 64 { len[0] } else { 0 };
        assert_eq!(len, 0);
    });
}
