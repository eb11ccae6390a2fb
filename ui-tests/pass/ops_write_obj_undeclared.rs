//! The structure says so, and is checked.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use zerocopy::{Immutable, IntoBytes};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Answer {
    len: u32,
}

fn main() {
    let mut page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page).write_obj(0, &Answer { len: 2 }).unwrap();
    });
}
