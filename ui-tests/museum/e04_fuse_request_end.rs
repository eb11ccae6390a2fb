//! E04, fuse: a request is ended while the state of its copy still has a page mapped.
//!
//! Linux, `fs/fuse/dev.c`, 2006 and 2010. Fixed in 222f1d69183; later 7909b1c6407 replaced kmap_atomic. Seen: the diff.
//!
//! ```c
//! copy_one(cs);                    /* maps, and stays mapped in cs */
//! request_end(req);                /* may sleep */
//! copy_finish(cs);
//! ```
//!
//! Nothing in these three lines says that `cs` has a mapping. Here `cs` is a value that holds a guard, and with it the context that cannot
//! sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/fuse.rs"]
mod fuse;
use fuse::*;

fn fuse_copy_one<'cx>(atomic: &'cx mut Atomic<'_, MyKernel>, page: &'cx Frame, size: usize) -> FuseCopyState<'cx> {
    let mapped = kmap_atomic(atomic.slots().user0, page);
    let copied = mapped[..size].to_vec();
    FuseCopyState { mapped, copied }
}

/// Unmaps.
fn fuse_copy_finish(cs: FuseCopyState<'_>) -> Vec<u8> {
    cs.copied
}

fn fuse_dev_read(task: &mut Task<'_>, req: &mut FuseReq) -> Vec<u8> {
    let mut atomic = task.atomic();
    let cs = fuse_copy_one(&mut atomic, &req.page, 8);
    request_end(task, &mut req.ended);
    fuse_copy_finish(cs)
}

fn main() {
    let mut req = FuseReq { page: frame(0), ended: false };
    put(&mut req.page, 0, b"FUSE_GETATTR");
    assert_eq!(thread(|task| fuse_dev_read(task, &mut req)), b"FUSE_GET");
    assert!(req.ended);
}
