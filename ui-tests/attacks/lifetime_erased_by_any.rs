//! A token becomes a value of any type, and then one that lives for good.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::any::Any;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let slot: Box<dyn Any> = Box::new(slot); // attack
        let slot: Box<Slot<'static, MyKernel, User0>> = slot.downcast().unwrap(); // attack
        let slot = *slot; // attack
        drop(kmap_atomic(slot, &page));
    });
}
