//! The bytes of a page are taken for a structure that does not say it is plain data.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

#[repr(C)]
struct Superblock {
    magic: u32,
    blocks: u32,
}

fn main() {
    let page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mapped = kmap_atomic(atomic.slots().user0, &page);
        let superblock = mapped.view::<Superblock>(0).unwrap();
        assert_eq!((superblock.magic, superblock.blocks), (0, 0));
    });
}
