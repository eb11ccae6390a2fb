//! B06, parisc: unmap is given an address within the page, and flushes from there on.
//!
//! Linux, `include/linux/highmem-internal.h`, 2023. Fixed in 88d7b12068b9. Seen: the diff.
//!
//! ```c
//! kunmap_local(addr + off);
//!         -> kunmap_flush_on_unmap(addr + off);  /* expects page base */
//! ```
//!
//! Any address of the page may be passed, and the function behind it had not been told: other cache lines were flushed. Here unmap gets the
//! guard, which knows where its page begins.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Marks a directory entry as free.
fn delete_entry(task: &mut NestedTask<'_>, page: &mut Frame, off: usize) {
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (mut kaddr, _) = kmap_local_page(&mut local, page);
    let entry = &mut kaddr[off..];
    entry[..4].fill(0);
    kunmap_local(entry);
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 100, b"file one");
    nested_thread(|task| delete_entry(task, &mut page, 100));
    assert_eq!(get(&page, 100), *b"\0\0\0\0 one");
}
