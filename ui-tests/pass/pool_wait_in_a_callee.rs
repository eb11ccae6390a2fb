//! A function that maps pages itself is called before.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Maps a page of its own.
fn checksum(task: &mut Task<'_>, page: &Frame) -> u8 {
    kmap(task, page).unwrap().0[0]
}

fn main() {
    let (from, to) = (frame(0), frame(1));
    thread(|task| {
        let sum = checksum(task, &to);
        let (from, _task) = kmap(task, &from).unwrap();
        assert_eq!(from[0], sum);
    });
}
