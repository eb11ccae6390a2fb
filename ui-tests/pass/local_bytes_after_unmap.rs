//! The order in which they end is of no concern, as long as each is used before.
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
        to.copy_from_slice(&from[..]);
        kunmap_local(from);
        to[0] = 1;
        kunmap_local(to);
    });
}
