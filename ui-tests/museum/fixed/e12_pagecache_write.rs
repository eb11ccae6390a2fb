//! What may fault comes before the lock.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/pagecache.rs"]
mod pagecache;
use pagecache::*;

fn generic_perform_write(
    task: &mut Task<'_>,
    page: &mut CachePage,
    (offset, bytes): (usize, usize),
    buf: &mut UserReader<MyKernel>,
) -> Result<(), Error> {
    let mut from = [0; 256];
    copy_from_user(task, &mut from[..bytes], buf)?;
    let locked = lock_page(task, &page.lock);
    kmap_atomic(locked.task.atomic().slots().user0, &mut page.frame).write_at(offset, &from[..bytes]).unwrap();
    Ok(())
}

fn main() {
    let mut page = cache_page(0);
    let mut buf = UserSlice::new(0x1ff0, 64).unwrap().reader();
    thread(|task| generic_perform_write(task, &mut page, (8, 4), &mut buf)).unwrap();
    assert_eq!(cached(&page, 7), [0, 1, 1, 1, 1, 0]);
    thread(|task| generic_perform_write(task, &mut page, (16, 16), &mut buf)).unwrap_err();
    assert_eq!(cached(&page, 16), [0; 16]);
}
