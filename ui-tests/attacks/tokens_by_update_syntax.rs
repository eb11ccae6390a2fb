//! A structure of tokens is made of another, with a token put in a second time.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use highmem::linux::AtomicSlots;

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let slots = AtomicSlots { user0: slots.user0, ..slots }; // attack
        drop(slots);
    });
}
