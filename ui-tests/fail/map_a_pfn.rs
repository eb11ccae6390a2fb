//! A frame number is mapped: nothing says who else uses the frame.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let page = Pfn::<Pae>::new(0).unwrap();
        let _mapped = kmap_atomic(atomic.slots().user0, page);
    });
}
