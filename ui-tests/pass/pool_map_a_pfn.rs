//! A frame is a page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    thread(|task| {
        let (mapped, _task) = kmap(task, frame(0)).unwrap();
        assert_eq!(mapped[0], 0);
    });
}
