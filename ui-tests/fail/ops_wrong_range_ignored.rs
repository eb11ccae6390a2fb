//! A copy that does not fit is not made, and nobody looks whether it was.
#![deny(unused_must_use)]
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::memcpy_to_page;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        memcpy_to_page(task.atomic().slots().user0, &mut page, 4090, b"too long");
    });
}
