//! As many pages as the pool has entries.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    thread(|task| {
        let (guards, _task) = kmap_all(task, pages).unwrap();
        assert_eq!(guards[0][0], 0);
    });
}
