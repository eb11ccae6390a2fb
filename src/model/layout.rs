//! Where things are: the addresses of the window, of the pages that all CPUs share, and of the direct map; the page tables.

use crate::fixmap::PageTable;
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Paging};

/// The page tables behind the window.
pub(super) const WINDOW_TABLES: usize = 2;

/// The page tables behind the pages that all CPUs see.
const SHARED_TABLES: usize = 1;

/// The tables that lie here. Behind them, there is that of the pool, which lies elsewhere.
const TABLES_HERE: usize = WINDOW_TABLES + SHARED_TABLES;

/// Where the window begins: far from where Linux puts programs, stacks and mappings of its own choice.
pub(super) const BASE: usize = 0x2000_0000_0000;

/// The most pages that the tables have entries for: those of 32-bit paging without PAE.
pub(super) const MAX_PAGES: usize = (TABLES_HERE + 1) * 1024;

/// The end of the addresses that belong to the tables.
pub(super) const END: usize = BASE + MAX_PAGES * PAGE_SIZE;

/// Where the direct map begins.
pub(super) const DIRECT_MAP: usize = BASE + (1 << 40);

/// The tables, one after the other, so that entry n is that of the page n at [`BASE`].
#[repr(C)]
struct Tables {
    window: [PageTable; WINDOW_TABLES],
    shared: [PageTable; SHARED_TABLES],
}

static TABLES: Tables = Tables {
    window: [const { PageTable::empty() }; WINDOW_TABLES],
    shared: [const { PageTable::empty() }; SHARED_TABLES],
};

/// The tables of the window.
pub(super) const fn window() -> &'static [PageTable; WINDOW_TABLES] {
    &TABLES.window
}

/// The first byte of the first entry.
pub(super) fn entries() -> *mut u8 {
    (&raw const TABLES).cast_mut().cast()
}

/// The first byte of the entry of a page, of `size` bytes; `pool` is where those of the pool are.
pub(super) fn entry_of(page: usize, size: usize, pool: *mut u8) -> *mut u8 {
    let here = TABLES_HERE * PAGE_SIZE / size;
    match page.checked_sub(here) {
        None => entries().wrapping_add(page * size),
        Some(page) => pool.wrapping_add(page * size),
    }
}

/// Where the pool begins, in this paging mode.
pub(super) const fn pool_base<P: Paging>() -> usize {
    address(TABLES_HERE * P::ENTRIES_PER_TABLE)
}

/// Where the window ends, in this paging mode, and so the pages begin that all CPUs share; where these end, and so the pool begins; and
/// the end of all.
pub(super) const fn pages<P: Paging>() -> (usize, usize, usize) {
    let pages = P::ENTRIES_PER_TABLE;
    (WINDOW_TABLES * pages, TABLES_HERE * pages, (TABLES_HERE + 1) * pages)
}

/// The address of a page.
pub(super) const fn address(page: usize) -> usize {
    BASE + (page << PAGE_SHIFT)
}

/// The page that an address belongs to.
pub(super) fn page(address: usize) -> Option<usize> {
    (BASE..END).contains(&address).then(|| (address - BASE) >> PAGE_SHIFT)
}

/// The number of the entry that a word of the tables belongs to; each takes `size` bytes.
pub(super) fn entry(word: usize, size: usize, pool: *mut u8) -> Option<usize> {
    let offset = word.wrapping_sub(entries().addr());
    let in_pool = word.wrapping_sub(pool.addr());
    match (offset < size_of::<Tables>(), in_pool < PAGE_SIZE) {
        (true, _) => Some(offset / size),
        (false, true) => Some((size_of::<Tables>() + in_pool) / size),
        (false, false) => None,
    }
}
