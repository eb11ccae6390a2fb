//! The copy is the one that does not sleep under the mapping, and goes on where memory was not there.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/pagecache.rs"]
mod pagecache;
use pagecache::*;

fn shmem_file_write(
    task: &mut MaySleep<'_>,
    page: &mut CachePage,
    (offset, bytes): (usize, usize),
    buf: &mut UserReader<MyKernel>,
) -> Result<(), Error> {
    copy_page_from_user(task, |atomic| atomic.slots().user0, &mut page.frame, offset..offset + bytes, buf)
}

fn main() {
    let mut page = cache_page(0);
    let mut buf = UserSlice::new(0x1000, 64).unwrap().reader();
    thread(|task| shmem_file_write(task, &mut page, (4000, 4), &mut buf)).unwrap();
    assert_eq!(cached(&page, 3999), [0, 1, 1, 1, 1, 0]);
    assert_eq!(buf.len(), 60);
}
