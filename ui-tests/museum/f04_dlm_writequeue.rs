//! F04, DLM: a page of the write queue is mapped by `kmap()` under the queue's lock.
//!
//! Linux, `fs/dlm/lowcomms.c`, 2006. Fixed in fcc8abc8d4f. Seen: the diff.
//!
//! ```c
//! spin_lock(q);
//! kmap(e->page);
//! ...
//! ```
//!
//! `kmap()` sleeps when the pool is full, and then another CPU spins for the lock; the fix maps after the unlock. Here the lock's guard
//! holds the task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/spinlock.rs"]
mod spinlock;
use spinlock::*;
#[path = "fixtures/dlm.rs"]
mod dlm;
use dlm::*;

fn dlm_lowcomms_get_buffer(task: &mut Task<'_>, con: &Connection, message: &[u8]) {
    let mut writequeue = con.writequeue.lock(task);
    let e = writequeue.data.last_mut().expect("an entry");
    let (mut mapped, _) = kmap(task, &mut e.page).expect("this kernel does not interrupt waits");
    mapped[e.end..][..message.len()].copy_from_slice(message);
    e.end += message.len();
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
