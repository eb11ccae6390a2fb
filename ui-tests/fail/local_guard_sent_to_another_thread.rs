//! A thread hands its mapping on to another one, which has none of its slots.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (mapped, _) = kmap_local_page(&mut local, &page);
        send_to_another_cpu(mapped);
    });
}
