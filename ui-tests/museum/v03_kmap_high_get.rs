//! V03, kunmap_local: it warns about the address of a page that the pool had mapped already.
//!
//! Linux, `mm/highmem.c`, 2020. Fixed in 2a656cad337e. Seen: the diff.
//!
//! ```c
//! if (addr < PAGE_OFFSET)  /* the pool is below */
//!         WARN();
//! ```
//!
//! A page that is in the pool anyway was not mapped again, and the function that unmaps compared addresses to see which it had. Here each
//! kind of mapping has its type, and who has either of them says which.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

// SAFETY: as for `MyKernel`.
unsafe impl PoolKernel for Nested {
    type PoolEntries = typenum::U2;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = 0xff80_0000;

    fn pool() -> &'static Pool<512> {
        static POOL: Pool<512> = Pool::new::<Nested>();
        &POOL
    }
    pool_of_a_process!();
}

/// Reads the first byte of a page, where the pool has it, or else by a map of this thread alone.
fn first_byte(task: &mut NestedTask<'_>, page: &Frame) -> u8 {
    if let Some((mapped, _task)) = page_address(task, page) {
        let byte = mapped[0];
        kunmap_local(mapped);
        return byte;
    }
    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    let (mapped, _) = kmap_local_page(&mut local, page);
    let byte = mapped[0];
    kunmap_local(mapped);
    byte
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"high");
    assert_eq!(nested_thread(|task| first_byte(task, &page)), b'h');
}
