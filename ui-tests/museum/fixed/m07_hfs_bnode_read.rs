//! Page by page.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::PAGE_SIZE;

/// `struct hfs_bnode`: its pages are anywhere.
struct Bnode {
    page: [Frame; 2],
    page_offset: usize,
}

fn hfs_bnode_read(task: &mut Task<'_>, node: &Bnode, mut buf: &mut [u8], off: usize) {
    let mut off = off + node.page_offset;
    while !buf.is_empty() {
        let (page, _) = kmap(task, &node.page[off / PAGE_SIZE]).unwrap();
        let here = &page[off % PAGE_SIZE..];
        let (now, rest) = buf.split_at_mut(here.len().min(buf.len()));
        now.copy_from_slice(&here[..now.len()]);
        off += now.len();
        buf = rest;
    }
}

fn main() {
    let mut node = Bnode { page: [frame(0), frame(1)], page_offset: 512 };
    put(&mut node.page[0], 4092, b"cata");
    put(&mut node.page[1], 0, b"log");
    let mut key = [9; 7];
    thread(|task| hfs_bnode_read(task, &node, &mut key, 3580));
    assert_eq!(key, *b"catalog");
}
