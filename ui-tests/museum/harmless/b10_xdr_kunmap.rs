//! B10, sunrpc's xdr_kunmap: the loop that unmaps ends before that which has mapped.
//!
//! Linux, `net/sunrpc/xdr.c`, 2002. Fixed in da8b40ad58 (history before git). Seen: the diff.
//!
//! ```c
//! /* xdr_kmap */   for (len = base + buf->page_len; len > 0; len -= PAGE_SIZE) kmap(*page++);
//! /* xdr_kunmap */ for (len = buf->page_len;        len > 0; len -= PAGE_SIZE) kunmap(*page++);
//! ```
//!
//! What begins within its first page may end in one more, and that one stayed mapped. Here the guards are values: those that the loop
//! does not get to end with what holds them.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::cell::Cell;

/// A page that is counted when its guard gives it back, which is after unmapping.
struct Counted<'a>(Frame, &'a Cell<usize>);

// SAFETY: it is a frame.
unsafe impl Page for Counted<'_> {
    type Paging = Pae;
    type Access = <Frame as Page>::Access;

    fn pfn(&self) -> Pfn<Pae> {
        self.0.pfn()
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
    }
}

type Mapped<'a, 'c> = Kmap<'a, MyKernel, Counted<'c>>;

/// Maps the pages with the `page_len` bytes from `base` on.
fn xdr_kmap<'a, 'c>(
    task: &'a mut Task<'_>,
    pages: [Counted<'c>; 2],
    base: usize,
    page_len: usize,
) -> [Mapped<'a, 'c>; 2] {
    assert_eq!((base + page_len).div_ceil(4096), pages.len());
    kmap_all(task, pages).unwrap().0
}

/// Unmaps them.
fn xdr_kunmap(pages: [Mapped<'_, '_>; 2], page_len: usize) {
    let mut pages = pages.into_iter();
    let mut done = 0;
    while done < page_len {
        kunmap(pages.next().unwrap());
        done += 4096;
    }
    assert_eq!(pages.len(), 1);
}

fn main() {
    let unmapped = Cell::new(0);
    let pages = [Counted(frame(0), &unmapped), Counted(frame(1), &unmapped)];
    thread(|task| {
        let pages = xdr_kmap(task, pages, 100, 4096);
        assert_eq!(unmapped.get(), 0);
        xdr_kunmap(pages, 4096);
        assert_eq!(unmapped.get(), 2);
    });
}
