//! The macro's own rule for a structure of tokens, used by itself.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

mod mine {
    use highmem::linux::{Set, User0};

    highmem::km_types!(@tokens unsafe MySlots { user0: User0, });

    pub fn more<'cx>(_: &highmem::linux::AtomicSlots<'cx, super::MyKernel>) -> Option<MySlots<'cx, super::MyKernel>> {
        return Some(MySlots::new()); // attack
        None
    }
}

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        assert!(mine::more(&slots).is_none());
    });
}
