//! The token of an atomic context is used when the context has ended.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1)];
    nested_thread(|task| {
        let mut atomic = task.atomic();
        let (mut local, _) = atomic.local();
        let (mapped, _) = kmap_local_page(&mut local, &pages[0]);
        assert_eq!(mapped[0], 0);
        drop(mapped);
        drop(atomic);
        drop(kmap_local_page(&mut local, &pages[1])); // attack
    });
}
