//! A structure is copied to user space of which nobody has said that all its bytes are values.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use zerocopy::{Immutable, IntoBytes};

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
