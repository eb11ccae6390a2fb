//! The page is mapped in the pool, under which the callback may sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/readdir.rs"]
mod readdir;
use readdir::*;

fn logfs_readdir(task: &mut Task<'_>, page: &Frame, buf: &mut UserWriter<MyKernel>) -> Result<(), Error> {
    let (dd, task) = kmap(task, page).expect("this kernel does not interrupt waits");
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
