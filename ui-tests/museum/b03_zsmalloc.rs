//! B03, zsmalloc: the pointer that walked through the objects of a page is unmapped.
//!
//! Linux, `mm/zsmalloc.c`, 2014. LKML 1415927461-14220-1-git-send-email-minchan@kernel.org. Seen: the diff.
//!
//! ```c
//! link = kmap_atomic(pg) + off;
//! ...
//! link += step;
//! ...
//! kunmap_atomic(link);
//! ```
//!
//! The patch calls it fragile: it works for as long as the pointer is within the page. Here the pointer is a borrow, and the guard
//! stays where it is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// Makes a list of the free objects of a page: each begins with the number of the next.
fn init_zspage(slot: Slot<'_, MyKernel, User0>, page: &mut Frame, size: usize, off: usize) {
    let mut vaddr = kmap_atomic(slot, page);
    let mut link = &mut vaddr[off..];
    let mut obj_idx = 1_u32;
    while link.len() >= size {
        link[..4].copy_from_slice(&obj_idx.to_le_bytes());
        obj_idx += 1;
        link = &mut link[size..];
    }
    kunmap_atomic(link);
}

fn main() {
    let mut page = frame(0);
    thread(|task| init_zspage(task.atomic().slots().user0, &mut page, 1000, 96));
    assert_eq!(get(&page, 96), [1, 0, 0, 0]);
    assert_eq!(get(&page, 3096), [4, 0, 0, 0]);
}
