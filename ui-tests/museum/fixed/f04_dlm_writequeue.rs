//! The entry is taken out of the queue, and mapped after the unlock.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/spinlock.rs"]
mod spinlock;
use spinlock::*;
#[path = "../fixtures/dlm.rs"]
mod dlm;
use dlm::*;

fn dlm_lowcomms_get_buffer(task: &mut Task<'_>, con: &Connection, message: &[u8]) {
    let mut writequeue = con.writequeue.lock(task);
    let mut e = writequeue.data.pop().expect("an entry");
    drop(writequeue);
    let (mut mapped, _) = kmap(task, &mut e.page).expect("this kernel does not interrupt waits");
    mapped[e.end..][..message.len()].copy_from_slice(message);
    e.end += message.len();
    drop(mapped);
    con.writequeue.lock(task).data.push(e);
}

fn main() {
    let con = Connection { writequeue: SpinLock::new(vec![WriteQueueEntry { page: frame(0), end: 0 }]) };
    thread(|task| {
        dlm_lowcomms_get_buffer(task, &con, b"grant");
        dlm_lowcomms_get_buffer(task, &con, b"cancel");
    });
    let entry = thread(|task| con.writequeue.lock(task).data.pop()).unwrap();
    assert_eq!((get(&entry.page, 0), entry.end), (*b"grantcancel\0", 11));
}
