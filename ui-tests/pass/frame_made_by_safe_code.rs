//! The allocator makes the promise.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pfn = Pfn::new(0).unwrap();
    // SAFETY: the first frame of this case, used once.
    let mut page = unsafe { Frame::from_pfn(pfn) };
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page).fill(0);
    });
}
