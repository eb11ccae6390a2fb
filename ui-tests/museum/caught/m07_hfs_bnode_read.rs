//! M07, HFS: a node was read over the end of its first page, through one mapping.
//!
//! Linux, `fs/hfs/bnode.c`, 2021. Fixed in 54a5ead6f5e2. Seen: its title.
//!
//! ```c
//! off += node->page_offset;
//! page = node->page[0];
//! memcpy(buf, kmap(page) + off, len);
//! kunmap(page);
//! ```
//!
//! The pages of a node need not follow one another, and an entry of the tree may begin in one and end in the next. The fix copies page by
//! page. Here a mapping is one page long, and a slice past its end is a panic, with nothing copied.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// `struct hfs_bnode`: its pages are anywhere.
struct Bnode {
    page: [Frame; 2],
    page_offset: usize,
}

fn hfs_bnode_read(task: &mut Task<'_>, node: &Bnode, buf: &mut [u8], off: usize) {
    let off = off + node.page_offset;
    let (page, _) = kmap(task, &node.page[0]).unwrap();
    buf.copy_from_slice(&page[off..][..buf.len()]);
}

fn main() {
    let mut node = Bnode { page: [frame(0), frame(1)], page_offset: 512 };
    put(&mut node.page[0], 4092, b"cata");
    put(&mut node.page[1], 0, b"log");
    let mut key = [9; 7];
    let message = caught(|| thread(|task| hfs_bnode_read(task, &node, &mut key, 3580)));
    assert_eq!(message, "range end index 7 out of range for slice of length 4");
    assert_eq!(key, [9; 7]);
}
