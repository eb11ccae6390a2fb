//! A future that maps between waiting and waiting.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

async fn checksum(page: Frame) {
    next_tick().await;
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, page);
        assert_eq!(mapped[0], 0);
    });
}

fn main() {
    run_on_any_cpu(checksum(frame(0)));
}
