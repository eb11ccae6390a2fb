//! The token of the next depth is for the second page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (a, b) = (frame(0), frame(1));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut one, _) = pinned.local();
        let (_a, mut two) = kmap_local_page(&mut one, &a);
        let (_b, _) = kmap_local_page(&mut two, &b);
    });
}
