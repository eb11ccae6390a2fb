//! A future is run until it waits, its context ended, and the future run on.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::pin::pin;
use std::task::{Context, Waker};

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let mut future = pin!(async {
            let mapped = kmap_atomic(slot, &page);
            next_tick().await;
            assert_eq!(mapped[0], 0);
        });
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(atomic); // attack
        run_here(future);
    });
}
