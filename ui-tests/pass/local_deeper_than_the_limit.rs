//! The fourth page takes the place of the third.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1), frame(2), frame(3)];
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _) = pinned.local();
        let (_a, mut local) = kmap_local_page(&mut local, &pages[0]);
        let (_b, mut local) = kmap_local_page(&mut local, &pages[1]);
        drop(kmap_local_page(&mut local, &pages[2]));
        let (_d, _) = kmap_local_page(&mut local, &pages[3]);
    });
}
