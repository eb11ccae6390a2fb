//! Both pages are taken at once.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let (from, mut to, _task) = kmap_pair(task, &from, &mut to).unwrap();
        to.copy_from_slice(&from[..]);
    });
}
