//! Another page takes the place of the one that is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        page = frame(1);
        assert_eq!(mapped[0], 0);
    });
    free(page);
}
