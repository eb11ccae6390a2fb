//! A page is copied over another one that is only borrowed for reading: source and target were exchanged.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_highpage;

fn duplicate(page: &Frame, copy: &mut Frame) {
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, page, slots.user0, copy);
    });
}

fn main() {
    duplicate(&frame(0), &mut frame(1));
}
