//! A page is in the pool to be written, and in a slot as well.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mut mapped, task) = kmap(task, &mut page).unwrap();
        let mut atomic = task.atomic();
        let other = kmap_atomic(atomic.slots().user0, &page);
        mapped[0] = other[0];
    });
}
