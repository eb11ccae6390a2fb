//! The slot type itself is passed for its token: it is a unit structure, so everybody has one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let slot = User0; // attack
        drop(kmap_atomic(slot, &page));
    });
}
