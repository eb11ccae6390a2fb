//! A mapping of the pool in a `static`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

static ZEROED: Global<Kmap<'static, MyKernel, Frame>> = Global::empty();

fn main() {
    thread(|task| {
        let (mut mapped, _task) = kmap(task, frame(0)).unwrap();
        mapped.fill(0);
        ZEROED.put(mapped);
    });
    assert!(ZEROED.take().is_some());
}
