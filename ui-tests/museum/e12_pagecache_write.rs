//! E12, page cache: a write faults on user memory with the page locked, and the fault wants the same page.
//!
//! Linux, `mm/filemap.c`, 2007. Fixed in 08291429cfa. Seen: the diff.
//!
//! ```c
//! lock_page(pg);
//! k = kmap(pg);
//! copy_from_user(k, u, n);         /* fault -> lock_page(pg), by itself */
//! ```
//!
//! It happens when a process writes to a file from its own mapping of the same page. The fix copies without faults under the lock, and
//! tries again without it. Here a lock can keep of its holder's task what user memory is copied with, and give back the rest, which can
//! sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/pagecache.rs"]
mod pagecache;
use pagecache::*;

fn generic_perform_write(
    task: &mut Task<'_>,
    page: &mut CachePage,
    (offset, bytes): (usize, usize),
    buf: &mut UserReader<MyKernel>,
) -> Result<(), Error> {
    let (mut kaddr, task) = kmap(task, &mut page.frame).expect("this kernel does not interrupt waits");
    let locked = lock_page(task, &page.lock);
    copy_from_user(task, (&mut kaddr, offset..offset + bytes), buf)?;
    drop(locked);
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
