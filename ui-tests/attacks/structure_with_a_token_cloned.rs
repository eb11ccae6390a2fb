//! A structure that holds a token is to be cloned.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

#[derive(Clone)] // attack
struct Request<'cx> {
    slot: Slot<'cx, MyKernel, User0>,
    page: u64,
}

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let request = Request { slot: atomic.slots().user0, page: 0 };
        drop(kmap_atomic(request.slot, frame(request.page)));
    });
}
