//! A task waits for pages of the reserve while it has some: all tasks that do so wait for one another.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let reserve = low_pages();
    thread(|task| {
        let (first, _) = reserve.read(task, parts()).unwrap();
        let second = reserve.read(task, parts()).map(|(prepared, _)| prepared.cancel());
        assert!(second.is_err());
        first.cancel();
    });
}
