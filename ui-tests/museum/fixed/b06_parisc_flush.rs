//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Marks a directory entry as free.
fn delete_entry(task: &mut NestedTask<'_>, page: &mut Frame, off: usize) {
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (mut kaddr, _) = kmap_local_page(&mut local, page);
    let entry = &mut kaddr[off..];
    entry[..4].fill(0);
    kunmap_local(kaddr);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 100, b"file one");
    nested_thread(|task| delete_entry(task, &mut page, 100));
    assert_eq!(get(&page, 100), *b"\0\0\0\0 one");
}
