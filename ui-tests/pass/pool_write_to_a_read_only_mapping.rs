//! A page that was mapped from an exclusive borrow is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let (mut mapped, _task) = kmap(task, &mut page).unwrap();
        mapped[0] = 1;
    });
}
