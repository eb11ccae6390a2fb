//! A future that maps between two waits is queued for all CPUs.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::pin::Pin;

static QUEUE: Global<Pin<Box<dyn Future<Output = ()> + Send>>> = Global::empty();

fn main() {
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let future = async move {
            let mapped = kmap_atomic(slot, frame(0));
            next_tick().await;
            assert_eq!(mapped[0], 0);
        };
        QUEUE.put(Box::pin(future)); // attack
    });
    assert!(QUEUE.take().is_none());
}
