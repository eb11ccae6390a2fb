//! A callback that may use any slot is given the context, under a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let callback: &mut dyn FnMut(&mut Atomic<'_, MyKernel>) = &mut |cx| drop(kmap_atomic(cx.slots().user0, frame(1)));
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        callback(&mut atomic); // attack
        assert_eq!(mapped[0], 0);
        drop(mapped);
        callback(&mut atomic);
    });
}
