//! The copy is finished, and with it its mapping, before the request is ended.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/fuse.rs"]
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
    let copied = fuse_copy_finish(cs);
    drop(atomic);
    request_end(task, &mut req.ended);
    copied
}

fn main() {
    let mut req = FuseReq { page: frame(0), ended: false };
    put(&mut req.page, 0, b"FUSE_GETATTR");
    assert_eq!(thread(|task| fuse_dev_read(task, &mut req)), b"FUSE_GET");
    assert!(req.ended);
}
