//! The bytes are passed to unmap, as Linux's `kunmap_atomic(kaddr)` takes them.
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
        kunmap_atomic(bytes);
    });
}
