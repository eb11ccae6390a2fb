//! A page whose memory may be broken is copied, and nobody looks whether all of it came.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::copy_mc_highpage;

fn main() {
    let (from, mut to) = (frame(0), frame(1));
    thread(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_mc_highpage(slots.user1, &mut to, slots.user0, &from);
    });
}
