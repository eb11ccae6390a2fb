//! The page that is written comes first.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_highpage;

fn duplicate(page: &Frame, copy: &mut Frame) {
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, copy, slots.user0, page);
    });
}

fn main() {
    duplicate(&frame(0), &mut frame(1));
}
