//! The token of a depth is used again while that of the next is: both mappings would have one slot.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (a, b, c) = (frame(0), frame(1), frame(2));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (a, mut deeper) = kmap_local_page(&mut local, &a);
        drop(a);
        let (_b, _) = kmap_local_page(&mut local, &b);
        let (_c, _) = kmap_local_page(&mut deeper, &c);
    });
}
