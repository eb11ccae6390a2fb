//! A structure with padding is copied to user space: the padding carries what was in the kernel's memory before.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use zerocopy::{Immutable, IntoBytes};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Answer {
    kind: u8,
    len: u32,
}

fn main() {
    let mut page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        kmap_atomic(atomic.slots().user0, &mut page).write_obj(0, &Answer { kind: 1, len: 2 }).unwrap();
    });
}
