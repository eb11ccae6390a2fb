//! More pages at once than the pool has entries: this could wait for ever.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1), frame(2)];
    thread(|task| {
        let (guards, _task) = kmap_all(task, pages).unwrap();
        assert_eq!(guards[0][0], 0);
    });
}
