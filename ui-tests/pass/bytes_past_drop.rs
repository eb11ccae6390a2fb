//! A view of the page is used before the guard is dropped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let superblock = kmap_atomic(atomic.slots().user0, &page);
        let blocks = superblock.view::<u32>(4).unwrap();
        assert_eq!(*blocks, 0);
        drop(superblock);
    });
}
