//! A guard whose type nobody knows is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use highmem::atomic::AtomicGuard;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, frame(0));
        let mapped: Box<dyn AtomicGuard<Slot = Slot<'_, MyKernel, User0>, Page = Frame> + '_> = Box::new(mapped); // attack
        let (_slot, page) = kunmap_atomic(mapped);
        free(page);
    });
}
