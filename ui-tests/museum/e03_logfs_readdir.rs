//! E03, logfs: names of a directory are copied to user space while its page is mapped atomically.
//!
//! Linux, `fs/logfs/dir.c`, 2010. Fixed in e326068806e. Seen: the diff.
//!
//! ```c
//! d = kmap_atomic(pg, KM_USER0);
//! filldir(buf, d->name ..);        /* copy_to_user() */
//! kunmap_atomic(d, KM_USER0);
//! ```
//!
//! The callback sleeps when the page of user space is not there, and the slot is the next task's; the fix is `kmap()`. Here the callback
//! says with a parameter that it may sleep, and the context of the mapping holds the only value that would fit.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/readdir.rs"]
mod readdir;
use readdir::*;

fn logfs_readdir(task: &mut Task<'_>, page: &Frame, buf: &mut UserWriter<MyKernel>) -> Result<(), Error> {
    let mut atomic = task.atomic();
    let dd = kmap_atomic(atomic.slots().user0, page);
    let namelen = u16::from_be_bytes([dd[8], dd[9]]).into();
    filldir(task, buf, &dd[NAME..][..namelen])
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 8, b"\0\x05.hello");
    let mut buf = UserSlice::new(0x1000, 64).unwrap().writer();
    thread(|task| logfs_readdir(task, &page, &mut buf)).unwrap();
    assert_eq!(buf.len(), 59);
}
