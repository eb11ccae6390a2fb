//! The page is mapped in a slot, which needs no sleep.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/spinlock.rs"]
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
    let code = kmap_atomic(ptl.atomic.slots().pte0, page);
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
