//! The padding has a name, and a value.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use zerocopy::{Immutable, IntoBytes};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    kind: u8,
    unused: [u8; 3],
    len: u32,
}

fn main() {
    let mut to = UserSlice::new(0x1000, 8).unwrap().writer();
    thread(|task| put_user(task, &mut to, &Header { kind: 1, unused: [0; 3], len: 7 })).unwrap();
}
