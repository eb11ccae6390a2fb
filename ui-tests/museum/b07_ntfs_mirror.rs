//! B07, ntfs: two pages are compared by two pointers, which are then unmapped.
//!
//! Linux, `fs/ntfs`, 2026. Fixed in 53bbed2cb6fc (ntfs-next). Seen: its title.
//!
//! ```c
//! p = kmap_local_page(page);
//! for (...)
//!         p += rec;
//! kunmap_local(p);
//! ```
//!
//! In 2002 it was a disk driver, in 2026 a file system. Here what walks is a borrow, and the guard stays where it is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
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
    kunmap_local(kmft);
    kunmap_local(mirror);
    same
}

fn main() {
    let (mut mft, mut mirror) = (frame(0), frame(1));
    put(&mut mft, 3072, b"FILE");
    assert!(!nested_thread(|task| check_mft_mirror(task, &mft, &mirror, 1024)));
    put(&mut mirror, 3072, b"FILE");
    assert!(nested_thread(|task| check_mft_mirror(task, &mft, &mirror, 1024)));
}
