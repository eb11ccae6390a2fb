//! U01, RDS: a copy to an address that nobody has checked, and user space writes to the kernel.
//!
//! Linux, `net/rds/page.c`, 2010. Fixed in 799c10559d6 (CVE-2010-3904). Seen: the diff; the CVE number from memory.
//!
//! ```c
//! a = kmap_atomic(pg, KM_USER0);
//! __copy_to_user_inatomic(ptr, a, n);      /* unchecked ptr */
//! ```
//!
//! The variant for atomic context has two underscores more, and no `access_ok()`. The fix is plain `kmap()` and `copy_to_user()`. Here
//! both want the same `UserWriter`, which is made of a checked range only.
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
    let mut atomic = task.atomic();
    let addr = kmap_atomic(atomic.slots().user0, page);
    copy_to_user_inatomic(&mut (ptr as *mut u8), (&addr, offset..offset + bytes))
}

fn main() {
    let page = frame(0);
    thread(|task| {
        assert_eq!(rds_page_copy_to_user(task, &page, (64, 8), 0x1000), Ok(()));
        let of_the_kernel = rds_page_copy_to_user(task, &page, (64, 8), 0xc010_0000);
        assert_eq!(of_the_kernel, Err(Error::NotUser { address: 0xc010_0000, len: 8 }));
    });
}
