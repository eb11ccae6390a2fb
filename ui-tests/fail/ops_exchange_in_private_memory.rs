//! A word is exchanged in memory that nobody else writes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        assert_eq!(mapped.compare_exchange::<u32>(0, 0, 1).unwrap(), Ok(0));
    });
}
