//! A short-lived token is put where a long-lived one belongs.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn put<'cx>(kept: &mut Option<Slot<'cx, MyKernel, User0>>, slot: Slot<'cx, MyKernel, User0>) {
    *kept = Some(slot);
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut kept: Option<Slot<'_, MyKernel, User0>> = None;
        {
            let mut atomic = task.atomic();
            let slot = atomic.slots().user0;
            put(&mut kept, slot); // attack
        }
        assert!(kept.is_none_or(|slot| kmap_atomic(slot, &page)[0] == 0));
    });
}
