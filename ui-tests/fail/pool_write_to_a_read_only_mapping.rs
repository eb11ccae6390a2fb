//! A page that was mapped from a shared borrow is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let page = frame(0);
    thread(|task| {
        let (mut mapped, _task) = kmap(task, &page).unwrap();
        mapped[0] = 1;
    });
}
