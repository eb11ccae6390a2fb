//! It is read under a mapping of the pool, under which the task may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    let mut to = UserSlice::new(0x1000, 64).unwrap().writer();
    thread(|task| {
        let (directory, task) = kmap(task, &page).unwrap();
        let mut fill = |name: &[u8]| copy_to_user(task, &mut to, name);
        fill(&directory[..8]).unwrap();
    });
}
