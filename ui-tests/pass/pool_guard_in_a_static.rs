//! The page in a `static`, and the guard where it is used.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static ZEROED: Global<Frame> = Global::empty();

fn main() {
    thread(|task| {
        let (mut mapped, _task) = kmap(task, frame(0)).unwrap();
        mapped.fill(0);
        ZEROED.put(kunmap(mapped));
    });
    assert!(ZEROED.take().is_some());
}
