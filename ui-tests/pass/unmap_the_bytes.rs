//! The guard that the bytes were borrowed from is passed to unmap.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let bytes = &mut mapped[..];
        bytes.fill(0);
        let (_slot, page) = kunmap_atomic(mapped);
        assert_eq!(page.pfn().number(), 0);
    });
}
