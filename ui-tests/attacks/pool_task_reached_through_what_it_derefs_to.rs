//! The task is borrowed as one that may sleep, and that borrow is kept while the task waits.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        let left: &mut MaySleep<'_> = &mut *task;
        let (mapped, _) = try_kmap(left, &page).unwrap();
        let (again, _) = kmap(task, &other).unwrap(); // attack
        assert_eq!(mapped[0], 0); // attack
    });
}
