//! The page is freed after it was unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, page).unwrap();
        assert_eq!(mapped[0], 0);
        free(kunmap(mapped));
    });
}
