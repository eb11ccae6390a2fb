//! B13, ceph: an early exit unmaps what is not mapped yet.
//!
//! Linux, `fs/ceph/inode.c`, 2022. lore 20220412070745.22795-4-xiubli@redhat.com. Seen: the diff.
//!
//! ```c
//! out:
//!         kunmap_local(iov.base);  /* base unset if we failed before kmap */
//! ```
//!
//! All ways lead to `out`, and the pointer is whatever was on the stack. Here a variable that some way does not set cannot be used, and the guard
//! needs no `out`.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

#[derive(Debug, PartialEq)]
struct NoSuchBlock;

/// Zeroes the rest of the last block of a file that is encrypted, before it is cut off at `size`.
fn fill_fscrypt_truncate(
    task: &mut NestedTask<'_>,
    page: &mut Frame,
    size: usize,
    object_len: usize,
) -> Result<(), NoSuchBlock> {
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let mut base;
    let result = 'out: {
        if size > object_len {
            break 'out Err(NoSuchBlock);
        }
        (base, _) = kmap_local_page(&mut local, page);
        base[size % 4096..].fill(0);
        Ok(())
    };
    kunmap_local(base);
    result
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 512, b"keep this");
    nested_thread(|task| {
        assert_eq!(fill_fscrypt_truncate(task, &mut page, 8192 + 516, 8192), Err(NoSuchBlock));
        assert_eq!(fill_fscrypt_truncate(task, &mut page, 8192 + 516, 12288), Ok(()));
    });
    assert_eq!(get(&page, 512), *b"keep\0\0\0\0\0");
}
