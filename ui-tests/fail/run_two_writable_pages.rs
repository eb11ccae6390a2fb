//! Two pages of a run are written at once: nothing says that they are two.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut run = run(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut one = kmap_atomic(slots.user0, run.page_mut(0).unwrap());
        let mut other = kmap_atomic(slots.user1, run.page_mut(0).unwrap());
        one[0] = 1;
        other[0] = 2;
    });
}
