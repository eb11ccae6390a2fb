//! Memory that a user process may write is borrowed.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = user_frame(0);
    thread(|task| {
        let (mapped, _task) = kmap(task, &page).unwrap();
        assert_eq!(mapped[0], 0);
    });
}
