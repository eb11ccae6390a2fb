//! The task is used to wait again, while the guard is still there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let (from, _) = kmap(task, &from).unwrap();
        let (mut to, _) = kmap(task, &mut to).unwrap();
        to.copy_from_slice(&from[..]);
    });
}
