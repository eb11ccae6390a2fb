//! The page is mapped to be written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        assert_eq!(mapped.fetch_update(0, |word: u32| word + 1).unwrap(), 0);
    });
}
