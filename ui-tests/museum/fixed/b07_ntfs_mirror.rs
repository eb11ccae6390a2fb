//! Both guards end when the function ends, and in any order.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Whether the first records of the file table are those of its mirror.
fn check_mft_mirror(task: &mut NestedTask<'_>, mft: &Frame, mirror: &Frame, record: usize) -> bool {
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (mft, mut local) = kmap_local_page(&mut local, mft);
    let (mirror, _) = kmap_local_page(&mut local, mirror);
    let (mut kmft, kmirr) = (&mft[..], &mirror[..]);
    let mut same = true;
    for i in 0..4 {
        same &= kmft[..record] == kmirr[i * record..][..record];
        kmft = &kmft[record..];
    }
    same
}

fn main() {
    let (mut mft, mut mirror) = (frame(0), frame(1));
    put(&mut mft, 3072, b"FILE");
    assert!(!nested_thread(|task| check_mft_mirror(task, &mft, &mirror, 1024)));
    put(&mut mirror, 3072, b"FILE");
    assert!(nested_thread(|task| check_mft_mirror(task, &mft, &mirror, 1024)));
}
