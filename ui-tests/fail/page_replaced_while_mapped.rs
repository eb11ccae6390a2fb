//! The page is taken out of its owner while it is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Inode {
    page: Frame,
}

fn main() {
    let mut inode = Inode { page: frame(0) };
    thread(|task| {
        let mut atomic = task.atomic();
        let mut mapped = kmap_atomic(atomic.slots().user0, &mut inode.page);
        let old = std::mem::replace(&mut inode.page, frame(1));
        mapped.fill(0);
        free(old);
    });
    assert_eq!(inode.page.pfn().number(), 1);
}
