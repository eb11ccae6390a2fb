//! What it has is unmapped before.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let pages = [frame(0), frame(1), frame(2)];
    thread(|task| {
        let [first, rest @ ..] = &pages;
        let (first, _) = kmap(task, first).unwrap();
        let byte = first[0];
        drop(first);
        let (rest, _task) = kmap_all(task, rest.each_ref()).unwrap();
        assert_eq!(byte, rest[1][0]);
    });
}
