//! The idle loop has no pages: a thread does it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, _) = kmap(task, &page).unwrap();
        assert_eq!(mapped[0], 0);
    });
}
