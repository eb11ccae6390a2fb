//! O18, MIPS: whether a page has to be flushed is asked of the address of a page that has none.
//!
//! Linux, `arch/mips/mm/cache.c`, 2021. Reported on linux-mips, 20210702075902.7wxuyom6cic4ceaq. Seen: the text.
//!
//! ```c
//! a = page_address(p);
//! if (alias(a, va))
//!         flush(a);
//! ```
//!
//! An address of 0 has a colour like any other, so that the question has an answer, and it means nothing. Here the address that is
//! compared is the one of a mapping.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// Whether two addresses are at different places in a cache of 32 KiB.
fn pages_do_alias(one: usize, other: usize) -> bool {
    (one ^ other) & 0x7000 != 0
}

fn flush_anon_page(_task: &mut Task<'_>, page: &Frame, vmaddr: usize) -> bool {
    let addr = page.address();
    pages_do_alias(addr, vmaddr)
}

fn main() {
    let page = frame(0);
    let at = thread(|task| kmap_atomic(task.atomic().slots().user0, &page).address());
    assert!(thread(|task| flush_anon_page(task, &page, at ^ 0x1000)));
    assert!(!thread(|task| flush_anon_page(task, &page, at ^ 0x8000)));
}
