//! An early return unmaps what is mapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
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
    if size > object_len {
        return Err(NoSuchBlock);
    }
    let (mut base, _) = kmap_local_page(&mut local, page);
    base[size % 4096..].fill(0);
    Ok(())
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
