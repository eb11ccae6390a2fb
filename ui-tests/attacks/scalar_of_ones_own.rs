//! A structure is to be read from shared memory with one access.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

#[derive(Clone, Copy)]
struct Header([bool; 4]);

impl highmem::view::Scalar for Header {} // attack

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        assert_eq!(mapped.load::<u32>(0), Ok(0));
    });
}
