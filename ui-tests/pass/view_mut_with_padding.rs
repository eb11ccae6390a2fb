//! A structure whose padding is a field is written into a page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
struct Header {
    kind: u8,
    zero: [u8; 3],
    len: u32,
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut page);
        let header = mapped.view_mut::<Header>(0).unwrap();
        header.len = 7;
        assert_eq!((header.kind, header.len), (0, 7));
    });
}
