//! A directory is read under an atomic mapping, and a callback copies each name to user space.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut to = UserSlice::new(0x1000, 64).unwrap().writer();
    thread(|task| {
        let mut fill = |name: &[u8]| copy_to_user(task, &mut to, name);
        let mut atomic = task.atomic();
        let directory = kmap_atomic(atomic.slots().user0, &page);
        fill(&directory[..8]).unwrap();
    });
}
