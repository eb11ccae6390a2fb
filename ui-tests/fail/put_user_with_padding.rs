//! A structure with padding is copied to user space: the padding would carry what was in memory before.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use zerocopy::{Immutable, IntoBytes};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    kind: u8,
    len: u32,
}

fn main() {
    let mut to = UserSlice::new(0x1000, 8).unwrap().writer();
    thread(|task| put_user(task, &mut to, &Header { kind: 1, len: 7 })).unwrap();
}
