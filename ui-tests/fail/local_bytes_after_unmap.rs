//! Two pages are unmapped in the order in which they were mapped, and one is used after that.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (from, mut local) = kmap_local_page(&mut local, &from);
        let (mut to, _) = kmap_local_page(&mut local, &mut to);
        kunmap_local(from);
        to.copy_from_slice(&from[..]);
        kunmap_local(to);
    });
}
