//! A future that maps is put aside, to be run when there is time.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::pin::Pin;

fn main() {
    let page = frame(0);
    let mut later: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    thread(|task| {
        let mut atomic = task.atomic();
        let slot = atomic.slots().user0;
        let future = async {
            let mapped = kmap_atomic(slot, &page);
            next_tick().await;
            assert_eq!(mapped[0], 0);
        };
        later.push(Box::pin(future)); // attack
    });
}
