//! The address becomes user memory by a check, and the copy is the one that does not sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

use highmem::user::Error;

fn rds_page_copy_to_user(
    task: &mut Task<'_>,
    page: &Frame,
    (offset, bytes): (usize, usize),
    ptr: usize,
) -> Result<(), Error> {
    let mut to = UserSlice::new(ptr, bytes)?.writer();
    let mut atomic = task.atomic();
    let addr = kmap_atomic(atomic.slots().user0, page);
    copy_to_user_inatomic(&mut to, (&addr, offset..offset + bytes))
}

fn main() {
    let page = frame(0);
    thread(|task| {
        assert_eq!(rds_page_copy_to_user(task, &page, (64, 8), 0x1000), Ok(()));
        let of_the_kernel = rds_page_copy_to_user(task, &page, (64, 8), 0xc010_0000);
        assert_eq!(of_the_kernel, Err(Error::NotUser { address: 0xc010_0000, len: 8 }));
    });
}
