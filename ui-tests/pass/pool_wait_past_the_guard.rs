//! What is to be kept is copied, and the guard dropped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let (from, _) = kmap(task, &from).unwrap();
        let copy = from.to_vec();
        drop(from);
        let (mut to, _) = kmap(task, &mut to).unwrap();
        to.copy_from_slice(&copy);
    });
}
