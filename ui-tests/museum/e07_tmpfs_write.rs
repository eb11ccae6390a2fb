//! E07, tmpfs: user memory is copied by a copy that may sleep while the page is mapped atomically.
//!
//! Linux, `mm/shmem.c`, 2004. Fixed in 8843170edc (history before git). Seen: the diff.
//!
//! ```c
//! k = kmap_atomic(pg, KM_USER0);
//! left = __copy_from_user(k, u, n);
//! ```
//!
//! The fix is the variant that does not sleep, whose name differs by `_inatomic`. Here they differ by a parameter: what may sleep takes
//! the task, and the mapping has it.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/pagecache.rs"]
mod pagecache;
use pagecache::*;

fn shmem_file_write(
    task: &mut MaySleep<'_>,
    page: &mut CachePage,
    (offset, bytes): (usize, usize),
    buf: &mut UserReader<MyKernel>,
) -> Result<(), Error> {
    let mut atomic = task.atomic();
    let mut kaddr = kmap_atomic(atomic.slots().user0, &mut page.frame);
    copy_from_user(task, (&mut kaddr, offset..offset + bytes), buf)
}

fn main() {
    let mut page = cache_page(0);
    let mut buf = UserSlice::new(0x1000, 64).unwrap().reader();
    thread(|task| shmem_file_write(task, &mut page, (4000, 4), &mut buf)).unwrap();
    assert_eq!(cached(&page, 3999), [0, 1, 1, 1, 1, 0]);
    assert_eq!(buf.len(), 60);
}
