//! A structure in a page mapped from `&mut page` is asked for to be written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn main() {
    let mut page = frame(0);
    thread(|task| {
        let mut atomic = task.atomic();
        let mut superblock = kmap_atomic(atomic.slots().user0, &mut page);
        *superblock.view_mut::<u32>(64).unwrap() += 1;
    });
}
