//! It hands the page on.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (mapped, _) = kmap_local_page(&mut local, page);
        let (_, page) = kunmap_local(mapped);
        send_to_another_cpu(page);
    });
}
