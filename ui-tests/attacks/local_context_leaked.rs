//! A pinned context is leaked, so that it never ends, and the task pinned again.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    nested_thread(|task| {
        let pinned = Box::leak(Box::new(task.pinned()));
        let (mut local, _) = pinned.local();
        let (mapped, _) = kmap_local_page(&mut local, &pages[0]);
        let mut again = task.pinned(); // attack
        let (mut second, _) = again.local(); // attack
        let (_other, _) = kmap_local_page(&mut second, &pages[1]); // attack
        assert_eq!(mapped[0], 0);
    });
}
