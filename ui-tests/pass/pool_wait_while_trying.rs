//! It tries to get the other one, too.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let (from, task) = try_kmap(task, &from).unwrap();
        let (mut to, _task) = try_kmap(task, &mut to).unwrap();
        to.copy_from_slice(&from[..]);
    });
}
