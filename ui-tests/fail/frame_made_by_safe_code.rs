//! A frame is made of a number without the promise that nobody else uses it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pfn = Pfn::new(0).unwrap();
    let mut page = Frame::from_pfn(pfn);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page).fill(0);
    });
}
