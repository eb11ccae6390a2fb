//! The page is freed while it is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        free(page);
        assert_eq!(mapped[0], 0);
    });
}
