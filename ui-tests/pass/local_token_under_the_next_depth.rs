//! Each depth is used while the next is not.
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
        drop(kmap_local_page(&mut deeper, &c));
        let (_b, _) = kmap_local_page(&mut local, &b);
    });
}
