//! A function that takes the whole task to sleep is called under a mapping: it could wait for an entry, too.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mapped, task) = kmap(task, &page).unwrap();
        wait(task);
        assert_eq!(mapped[0], 0);
    });
}
