//! Memory that nobody else writes is referenced.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        assert_eq!(mapped.view::<u32>(16).unwrap(), &0);
    });
}
