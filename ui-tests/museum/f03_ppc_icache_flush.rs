//! F03, ppc: the fault handler maps a page by `kmap()` to flush the instruction cache.
//!
//! Linux, `arch/ppc/mm/init.c`, 2005. Fixed in 5a6a4d4320a. Seen: the diff.
//!
//! ```c
//! /* fault path */
//! flush(kmap(pg));
//! kunmap(pg);
//! ```
//!
//! `kmap()` may sleep; the fix is `kmap_atomic()`, with a slot of its own. Here the handler has the page table locked, and its context is
//! none that can wait.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/spinlock.rs"]
mod spinlock;
use spinlock::*;

pub struct Mm {
    flushed: usize,
}

/// Flushes the lines of 32 bytes of these instructions.
fn flush_dcache_icache(mm: &mut Mm, code: &[u8]) {
    mm.flushed += code.len() / 32;
}

/// Called by the fault handler, with the page table locked.
fn update_mmu_cache(ptl: &mut SpinGuard<'_, Mm>, page: &Frame) {
    let (code, _) = kmap(&mut ptl.atomic, page).expect("an entry of the pool");
    flush_dcache_icache(&mut ptl.data, &code[..]);
}

fn main() {
    let page = frame(0);
    let page_table_lock = SpinLock::new(Mm { flushed: 0 });
    thread(|task| {
        let mut ptl = page_table_lock.lock(task);
        update_mmu_cache(&mut ptl, &page);
        assert_eq!(ptl.data.flushed, 128);
    });
}
