//! The guard is passed to unmap, whatever addresses were made of it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let address = mapped.address() + 512;
        mapped[512] = 1;
        let (_slot, page) = kunmap_atomic(mapped);
        assert_eq!((page.pfn().number(), address % 4096), (0, 512));
    });
}
