//! It sleeps with the map, and reads when it is awake again, on the same CPU; the other CPU reads a copy.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, here) = pinned.local();
        let (mapped, _) = kmap_local_page(&mut local, &page);
        sleep_here(here);
        let first = mapped[0];
        drop(mapped);
        drop(pinned);
        elsewhere(task, move || assert_eq!(first, 0));
    });
}
