//! A task that holds a mapping waits for two others.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1), frame(2)];
    thread(|task| {
        let [first, rest @ ..] = &pages;
        let (first, task) = kmap(task, first).unwrap();
        let (rest, _task) = kmap_all(task, rest.each_ref()).unwrap();
        assert_eq!(first[0], rest[1][0]);
    });
}
