//! A mapping that ends in the statement that made it, and so was for nothing.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page);
    });
}
