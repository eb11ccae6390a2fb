//! Another page takes its place when it is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        assert_eq!(mapped[0], 0);
        drop(mapped);
        page = frame(1);
    });
    free(page);
}
