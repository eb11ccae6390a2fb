//! The slot is given back before.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, to) = (frame(0), frame(1));
    thread(|task| {
        let (from, task) = kmap(task, &from).unwrap();
        assert_eq!(kmap_atomic(task.atomic().slots().user0, &to)[0], from[0]);
        sleep(task);
    });
}
