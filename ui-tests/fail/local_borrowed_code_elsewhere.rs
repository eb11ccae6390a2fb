//! Another CPU reads the bytes of a local map at an address that is good on this CPU alone.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, task) = pinned.local();
        let (mapped, _) = kmap_local_page(&mut local, &page);
        let bytes = &mapped[..];
        elsewhere(task, move || assert_eq!(bytes[0], 0));
    });
}
