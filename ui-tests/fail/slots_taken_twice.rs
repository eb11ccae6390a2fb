//! A context is asked for its tokens again while the first are in use.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (source, mut target) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let from = kmap_atomic(atomic.slots().user0, &source);
        let mut to = kmap_atomic(atomic.slots().user0, &mut target);
        to.copy_from_slice(&*from);
    });
}
