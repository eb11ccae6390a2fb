//! Each byte of the structure has a name, and a value.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use zerocopy::{Immutable, IntoBytes};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Answer {
    kind: u8,
    reserved: [u8; 3],
    len: u32,
}

fn main() {
    let mut page = user_frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let answer = Answer { kind: 1, reserved: [0; 3], len: 2 };
        kmap_atomic(atomic.slots().user0, &mut page).write_obj(0, &answer).unwrap();
    });
}
