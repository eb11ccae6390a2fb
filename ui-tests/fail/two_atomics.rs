//! Two contexts of one thread at once: each would hand out the same tokens.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (source, mut target) = (frame(0), frame(1));
    thread(|task| {
        let mut outer = task.atomic();
        let mut inner = task.atomic();
        let from = kmap_atomic(outer.slots().user0, &source);
        kmap_atomic(inner.slots().user0, &mut target).copy_from_slice(&*from);
    });
}
